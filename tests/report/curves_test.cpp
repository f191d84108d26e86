#include "report/curves.h"

#include <doctest/doctest.h>

#include "core/events.h"
#include "core/files.h"
#include "report/charts.h"
#include "temporary.h"

using namespace rung;

namespace {

void write_steps(const fs::path& folder) {
  fs::create_directories(folder);
  JsonLog log(folder / "log.jsonl");
  for (int step = 1; step < 4; ++step)
    log.write({{"event", "step"}, {"tokens", 100 * step}, {"loss", {3.0 - step, 3.1 - step}}});
}

}  // namespace

TEST_CASE("the curve of a run that still trains is what the plan says of it") {
  const TemporaryFolder folder;
  write_json(folder / "plan.json", {{"runs",
                                     {{{"run", "sweep-a"}, {"kind", "sweep"}, {"N", 10560}},
                                      {{"run", "rung-w16"}, {"kind", "ladder"}, {"N", 17408}}}}});
  write_steps(folder / "runs/sweep-a");
  write_steps(folder / "runs/rung-w16");
  const ClimbFiles files = read_climb_files(folder.path);
  REQUIRE(files.curves.size() == 3);  // a rung's members are averaged, a sweep's are not
  const Json chart = curves_chart(files);
  std::vector<std::string> labels;
  for (const Json& series : chart.at("series"))
    labels.push_back(series.at("label").get<std::string>());
  CHECK(fmt::format("{}", fmt::join(labels, ", ")) == "sweep members, sweep members, N 17.4k");
}

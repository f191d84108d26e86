#include <doctest/doctest.h>

#include <cmath>

#include "core/files.h"
#include "core/random.h"
#include "study/compare.h"
#include "study/runs_csv.h"
#include "temporary.h"

using namespace rung;

namespace {

// A climb on L = 1.2 + 20 N^-0.3 whose target measured `off` times that, predicted as `predicted`
// times what it measured, give or take 1 %.
fs::path planted_climb(const fs::path& folder, double off, double predicted) {
  fs::create_directories(folder);
  std::vector<RunRecord> runs;
  Random random(1, "planted climb");
  for (const double n : {2e4, 3e4, 4.5e4, 7e4, 1.1e5, 3.6e5})
    for (int s = 0; s < (n > 3e5 ? 1 : 3); ++s) {
      RunRecord r;
      r.kind = n > 3e5 ? "target" : "ladder";
      r.N = static_cast<int64_t>(n), r.D = 20 * r.N, r.C = 120.0 * n * n, r.seconds = r.C / 1e9;
      r.L = (1.2 + 20.0 * std::pow(n, -0.3)) * std::exp(0.002 * random.normal());
      if (n > 3e5) r.L *= off;
      runs.push_back(r);
    }
  write_runs(folder / "runs.csv", runs);
  const RunRecord& target = runs.back();
  const double loss = predicted * target.L;
  write_json(folder / "prediction.json",
             {{"loss", loss},
              {"lo", 0.99 * loss},
              {"hi", 1.01 * loss},
              {"target", {{"N", target.N}, {"D", target.D}, {"C", target.C}, {"width", 64}}}});
  return folder;
}

}  // namespace

TEST_CASE("a missed target widens its law's range, and a missed prediction is said") {
  const TemporaryFolder folder;
  const Json json = compare_folders({planted_climb(folder / "well", 1.0, 1.0),
                                     planted_climb(folder / "bent", 0.95, 1.0),
                                     planted_climb(folder / "missed", 1.0, 1.05)});
  const Json& warnings = json.at("warnings");
  REQUIRE_MESSAGE(warnings.size() == 1, warnings.dump());
  const auto measured = [&](size_t i) {
    return json.at("alternatives")[i].at("measured").at("loss").get<double>();
  };
  const double predicted = 1.05 * measured(2);
  CHECK(warnings[0] ==
        fmt::format("missed: its target measured {:.4f}, outside {:.4f} .. {:.4f}, the 90 % range "
                    "of its prediction",
                    measured(2), 0.99 * predicted, 1.01 * predicted));
  const auto width = [&](size_t i) {
    const Json& law = json.at("alternatives")[i].at("law_at_target");
    CHECK_MESSAGE(law.at("inside") == true, law.dump());
    return law.at("hi").get<double>() / law.at("lo").get<double>() - 1.0;
  };
  CHECK(width(0) < 0.01);
  CHECK(width(1) > 2.0 * width(0));
  for (const char* axis : {"flops", "seconds"})
    for (const Json& standing : json.at("ranking").at(axis).at("standings"))
      CHECK_MESSAGE(standing.contains("measured"), standing.dump());
}

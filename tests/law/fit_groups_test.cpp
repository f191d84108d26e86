#include "law/fit_groups.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "law/law_data.h"

using namespace rung;

namespace {

// Pure power laws of three tasks with an exponent of their own, rows interleaved.
Table tasks() {
  std::string text = "task,seed,N,L\n";
  for (int i = 0; i < 8; ++i)
    for (int task = 0; task < 3; ++task) {
      const double n = 1e6 * std::pow(4.0, i);
      text += fmt::format("{},{},{},{}\n",
                          task == 0   ? "code"
                          : task == 1 ? "chat"
                                      : "maths",
                          i % 2, n, 1.5 + 30.0 * std::pow(n, -0.2 - 0.1 * task));
    }
  return parse_table(text, TableFormat::csv, "tasks.csv");
}

const FitOptions options{.law = "power", .columns = {{"x", "N"}}, .bootstrap = 20, .threads = 2};

}  // namespace

TEST_CASE("groups: each fit is that of its rows alone, whatever the threads") {
  const GroupFits fits = fit_groups(tasks(), {"task"}, options);
  REQUIRE(fits.groups.size() == 3);
  CHECK(fits.fitted() == 3);
  CHECK(fits.groups[0].values == std::vector<std::string>{"code"});
  for (int task = 0; task < 3; ++task)
    CHECK(fits.groups[task].fit.values()[2] == doctest::Approx(0.2 + 0.1 * task).epsilon(1e-4));
  FitOptions own = options;
  own.where = "task == 'chat'";
  const Fit alone = fit_law(tasks(), own);
  CHECK(alone.samples == fits.groups[1].fit.samples);
  own.threads = 1;
  CHECK(fit_groups(tasks(), {"task"}, own).groups[0].fit.samples == alone.samples);
}

TEST_CASE("groups: several columns, the filter, and a group whose values are bad") {
  const GroupFits halves = fit_groups(tasks(), {"task", "seed"}, options);
  CHECK(halves.groups.size() == 6);
  CHECK(halves.groups[3].values == std::vector<std::string>{"code", "1"});
  Table table = tasks();
  table.columns[3].values[4] = -1.0;  // the second row of "chat", the file's fifth
  const GroupFits fits = fit_groups(table, {"task"}, options);
  CHECK(fits.fitted() == 2);
  CHECK(fits.groups[1].error.find("row 5 (line 6)") != std::string::npos);
  FitOptions none = options;
  none.where = "N > 1e30";
  CHECK_THROWS_WITH(fit_groups(tasks(), {"task"}, none), doctest::Contains("No row is left"));
  CHECK_THROWS_WITH(fit_groups(tasks(), {"tsak"}, options), doctest::Contains("nearest is task"));
}

TEST_CASE("groups: their file gives each fit back by name") {
  Table table = tasks();
  table.columns[3].values[1] = -1.0;
  const GroupFits fits = fit_groups(table, {"task"}, options);
  const Json json = Json::parse(groups_to_json(fits).dump());
  REQUIRE(holds_groups(json));
  CHECK(json["fits"].size() == 3);
  CHECK(json["fits"][1]["status"] == "failed");
  const Json code = find_group(json, "task=code", "fits.json");
  CHECK(code["coefficients"]["a"]["value"].get<double>() == doctest::Approx(0.2).epsilon(1e-4));
  CHECK_THROWS_WITH(find_group(json, "task=chat", "fits.json"), doctest::Contains("has no fit"));
  CHECK_THROWS_WITH(find_group(json, "", "fits.json"), doctest::Contains("task=maths"));
  CHECK_THROWS_WITH(find_group(json, "task=music", "fits.json"), doctest::Contains("names 0"));
  CHECK_FALSE(holds_groups(code));
}

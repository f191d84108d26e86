#include "law/fit_text.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "law/fit_json.h"
#include "law/law_data.h"

namespace rung {

TEST_CASE("a fit reads alike before and after it was stored") {
  const Table table = read_table(law_data("chinchilla-kyo/df.csv"));
  const Fit fit = fit_law(table, {.bootstrap = 10});
  const std::string text = fit_text(fit);
  CHECK(text.find("chinchilla: L = E + A/N^alpha + B/D^beta") == 0);
  CHECK(text.find("on 234 of 234 rows") != std::string::npos);
  CHECK(fit_text(fit_from_json(Json::parse(fit_to_json(fit).dump()))) == text);
}

TEST_CASE("options that name a coefficient go to the laws that have it") {
  FitOptions common;
  common.fixed = {{"E", 1.8}};
  common.bounds = {{"alpha_N", {0.01, 0.2}}};
  common.priors = {{"alpha", {0.34, 0.05}}};
  common.ties = {{"alpha", "beta"}};
  const std::vector<FitOptions> each = options_of_laws(common, {"chinchilla", "kaplan"});
  REQUIRE(each.size() == 2);
  CHECK(each[0].law == "chinchilla");
  CHECK(each[0].fixed.contains("E"));
  CHECK(each[0].bounds.empty());
  CHECK(each[0].priors.contains("alpha"));
  CHECK(each[0].ties.size() == 1);
  CHECK(each[1].law == "kaplan");
  CHECK(each[1].fixed.empty());
  CHECK(each[1].bounds.contains("alpha_N"));
  CHECK(each[1].priors.empty());
  CHECK(each[1].ties.empty());
  common.fixed["alpah"] = 0.3;
  CHECK_THROWS_WITH_AS(options_of_laws(common, {"chinchilla", "kaplan"}),
                       "[fit] None of the laws has such a coefficient. Received alpah. The nearest "
                       "is alpha.",
                       Error);
}

TEST_CASE("a fit that its caller interrupts fails") {
  const Table table = read_table(law_data("chinchilla-kyo/df.csv"));
  FitOptions options{.bootstrap = 1'000'000, .threads = 2};
  options.interrupted = [] { return true; };
  CHECK_THROWS_WITH_AS(fit_law(table, options),
                       "[fit] Interrupted. Received a signal before the end.", Error);
  options.bootstrap = 0;
  options.profile = true;
  CHECK_THROWS_AS(fit_law(table, options), Error);
}

TEST_CASE("a fit counts its resamples") {
  const Table table = read_table(law_data("chinchilla-kyo/df.csv"));
  FitOptions options{.bootstrap = 40, .threads = 2};
  std::vector<Progress> said;
  options.progress = [&](const Progress& p) { said.push_back(p); };
  const Fit counted = fit_law(table, options);
  REQUIRE(said.size() == 41);
  CHECK(said.front().label == "chinchilla: search");
  CHECK(said.front().total == 0.0);
  for (size_t i = 1; i < said.size(); ++i) CHECK(said[i].done == static_cast<double>(i));
  CHECK(said.back().total == 40.0);
  options.progress = {};
  CHECK(fit_law(table, options).values() == counted.values());
}

TEST_CASE("a table made in memory names its rows as its caller does") {
  Table table;
  table.add_cells("N", {"1e7", "", "4e7"});
  table.add_cells("split", {"train", "test", "7"});
  CHECK(table.find("N")->values[2] == 4e7);
  CHECK(std::isnan(table.find("N")->values[1]));
  CHECK(table.find("split")->text == std::vector<std::string>{"train", "test", "7"});
  CHECK(table.where(1) == "row 2");
  table.index = {10, 20, 30};
  CHECK(table.where(1) == "row 2 (index 20)");
  CHECK_THROWS_AS(table.add_cells("D", {"1"}), Error);
}

}  // namespace rung

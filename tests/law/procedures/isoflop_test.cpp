#include <doctest/doctest.h>

#include "core/error.h"
#include "law/fit_json.h"
#include "law/law_data.h"
#include "law/predict.h"
#include "law/procedures/planted.h"
#include "law/procedures/procedures.h"

using namespace rung;

namespace {
const Surface even, uneven{.A = 480.0, .B = 2100.0, .alpha = 0.45, .beta = 0.25};
FitOptions with(const char* law, int bootstrap) {
  return {.law = law, .bootstrap = bootstrap, .threads = 1};
}
}  // namespace

TEST_CASE("isoflop: exact on a symmetric surface with centred grids") {
  for (const char* name : {"isoflop", "isoflop-interpolated"}) {
    CAPTURE(name);
    FitOptions options = with(name, 0);
    if (options.law == "isoflop-interpolated") options.settings["noise"] = 1e-6;
    const Fit fit = fit_law(isoflop_table(even, 6, 9, 1.5, 1.0, 0.0, 1), options);
    REQUIRE_FALSE(fit.refused());
    CHECK(estimate(fit, "a_N").value == doctest::Approx(0.5).epsilon(1e-4));
    CHECK(estimate(fit, "a_D").value == doctest::Approx(0.5).epsilon(1e-4));
    CHECK(predict_loss(fit, {{"C", 1e20}}) == doctest::Approx(even.best_size(1e20)).epsilon(2e-3));
    CHECK(estimate(fit, "E").value == doctest::Approx(1.8).epsilon(0.02));
    CHECK(estimate(fit, "alpha").value == doctest::Approx(0.17).epsilon(0.05));
    CHECK(fit.parts.size() == 2);
  }
}

TEST_CASE("isoflop: a minimum is known the worse, the nearer its loss is to E") {
  // Equal relative noise and equal grids: the deviation of a minimum goes with L/(L - E).
  const Fit fit = fit_law(isoflop_table(even, 8, 9, 1.6, 1.0, 1e-4, 3), with("isoflop", 300));
  REQUIRE_FALSE(fit.refused());
  const Range range = fit.ranges.at("C");
  const auto known = [&](double flops) {
    const double size = even.best_size(flops), loss = even.loss(size, flops / (6.0 * size));
    return loss / (loss - 1.8);
  };
  REQUIRE(fit.noise_growth.slopes.size() == 1);
  CHECK(fit.noise_growth.slopes[0] ==
        doctest::Approx(std::log(known(range.max) / known(range.min)) /
                        std::log(range.max / range.min))
            .epsilon(0.2));
  // Ten times beyond, an interval takes it up, also from a file; within the data it is never less.
  const Point beyond = {{"C", 10.0 * range.max}};
  CHECK(fit.noise_growth.at({10.0 * range.max}) > 1.3);
  CHECK(fit.noise_growth.at({range.min}) == 1.0);
  Fit level = fit;
  level.noise_growth = {};
  const Prediction grown = predict(fit, beyond), flat = predict(level, beyond);
  CHECK(grown.sources.at("noise") ==
        doctest::Approx(flat.sources.at("noise") * fit.noise_growth.at({10.0 * range.max}))
            .epsilon(0.02));
  CHECK(grown.hi - grown.lo > flat.hi - flat.lo);
  const Fit read = fit_from_json(Json::parse(fit_to_json(fit).dump()));
  CHECK(predict(read, beyond).hi == doctest::Approx(grown.hi).epsilon(1e-12));
}

TEST_CASE("isoflop: its intervals cover the planted exponent" * doctest::test_suite("slow")) {
  for (const char* name : {"isoflop", "isoflop-interpolated"}) {
    int inside = 0;
    for (int i = 0; i < 40; ++i) {
      const Fit fit = fit_law(isoflop_table(even, 6, 7, 1.6, 1.0, 0.002, 10 + i), with(name, 100));
      REQUIRE_FALSE(fit.refused());
      const Estimate& a = estimate(fit, "a_N");
      inside += a.lo <= 0.5 && 0.5 <= a.hi;
    }
    CAPTURE(name);
    CAPTURE(inside);
    CHECK(inside >= 31);
  }
}

TEST_CASE("isoflop: the bias of unequal exponents and off-centre grids is found and reported") {
  // Grids drift from the optimum with the budget: the parabola misses it more and more.
  Table table = isoflop_table(uneven, 6, 9, 2.2, 2.0, 0.0, 1);
  const Fit fit = fit_law(table, with("isoflop", 50));
  REQUIRE_FALSE(fit.refused());
  const Diagnostic* bias = find_diagnostic(fit, "biased-optimum");
  REQUIRE(bias);
  CHECK(bias->severity == Severity::warning);
  CHECK(find_diagnostic(fit, "askew-grid"));
  const double reported = fit.derivation["bias"]["N_opt_at_largest"].get<double>();
  const double largest = fit.ranges.at("C").max;
  CHECK(reported == doctest::Approx(predict_loss(fit, {{"C", largest}}) / uneven.best_size(largest))
                        .epsilon(1e-3));
  CHECK(std::fabs(std::log(reported)) > 0.05);
  const Fit good = fit_law(isoflop_table(even, 6, 9, 1.4, 1.0, 1e-4, 1), with("isoflop", 50));
  const Diagnostic* small = find_diagnostic(good, "biased-optimum");
  REQUIRE(small);
  CHECK(small->severity == Severity::note);
  CHECK_FALSE(find_diagnostic(good, "askew-grid"));
}

TEST_CASE("isoflop and envelope: sizes in another unit are doubted, as by a law of N and D") {
  Table table = isoflop_table(even, 6, 9, 1.5, 1.0, 0.0, 1);
  std::vector<double> flops;
  for (size_t i = 0; i < table.rows; ++i)
    flops.push_back(6.0 * table.find("N")->values[i] * table.find("D")->values[i]);
  table.add("C", flops);
  CHECK_FALSE(find_diagnostic(fit_law(table, with("isoflop", 0)), "units"));
  for (Column& column : table.columns)
    if (column.name == "N")
      for (double& n : column.values) n /= 1e6;
  for (const char* name : {"isoflop", "isoflop-interpolated", "envelope"}) {
    CAPTURE(name);
    const Fit fit = fit_law(table, with(name, 0));
    CHECK((fit.refused() || find_diagnostic(fit, "units")));
    if (std::string(name) == "isoflop") CHECK_FALSE(unit_doubts(fit).empty());
  }
}

TEST_CASE("isoflop: budgets without an interior minimum are left out, too few are refused") {
  Table table = isoflop_table(even, 5, 7, 1.6, 1.0, 0.001, 3);
  const Table off = isoflop_table(even, 5, 7, 1.6, 60.0, 0.001, 3);
  for (size_t c = 0; c < table.columns.size(); ++c)  // the first budget lies far to one side
    for (size_t i = 0; i < 7; ++i) table.columns[c].values[i] = off.columns[c].values[i];
  const Fit fit = fit_law(table, with("isoflop", 0));
  REQUIRE(find_diagnostic(fit, "dropped-budget"));
  CHECK(find_diagnostic(fit, "dropped-budget")->text.find("edge-minimum") != std::string::npos);
  CHECK(fit.points == 4);
  const Fit refused = fit_law(off, with("isoflop", 100));
  CHECK(refused.refused());
  CHECK(refused.coefficients.empty());
  CHECK(find_diagnostic(refused, "too-few-budgets")->severity == Severity::refusal);
  CHECK_THROWS_AS(predict(refused, {{"C", 1e21}}), Error);
}

TEST_CASE("isoflop: a fit.json holds every quantity and predicts like the fit it came from") {
  const Fit fit = fit_law(isoflop_table(even, 6, 7, 1.6, 1.0, 0.002, 5), with("isoflop", 60));
  const Json json = Json::parse(fit_to_json(fit).dump());
  CHECK(json["law"] == "isoflop");
  for (const char* name : {"k_N", "a_N", "k_D", "a_D"}) CHECK(json["coefficients"].contains(name));
  CHECK(json["derivation"]["budgets"].size() == 6);
  const Fit read = fit_from_json(json);
  REQUIRE(read.parts.size() == fit.parts.size());
  for (size_t p = 0; p < fit.parts.size(); ++p) {
    const Prediction a = predict(fit.parts[p], {{"C", 1e22}});
    const Prediction b = predict(read.parts[p], {{"C", 1e22}});
    CHECK(a.loss == b.loss);
    CHECK(a.lo == b.lo);
  }
  CHECK(predict(read, {{"C", 1e22}}).hi == predict(fit, {{"C", 1e22}}).hi);
}

TEST_CASE("isoflop: budgets may be named, settings and coefficients are checked") {
  Table table = isoflop_table(even, 4, 7, 1.6, 1.0, 0.001, 8);
  const Fit plain = fit_law(table, with("isoflop", 0));
  std::vector<double> budget;
  for (size_t i = 0; i < table.rows; ++i) budget.push_back(static_cast<double>(i / 7));
  table.add("budget", budget);
  CHECK(estimate(fit_law(table, with("isoflop", 0)), "a_N").value ==
        doctest::Approx(estimate(plain, "a_N").value).epsilon(1e-9));
  FitOptions options = with("isoflop", 0);
  options.settings["tolerence"] = 0.1;
  CHECK_THROWS_AS(fit_law(table, options), Error);
  options = with("isoflop", 0);
  options.fixed["beta"] = 0.1;
  CHECK_THROWS_AS(fit_law(table, options), Error);
  options.fixed = {{"a_N", 0.5}};
  CHECK(estimate(fit_law(table, options), "a_N").value == 0.5);
  table.columns[2].values[4] = -1.0;
  try {
    fit_law(table, with("isoflop", 0));
    CHECK(false);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("row 5") != std::string::npos);
  }
}

TEST_CASE("isoflop: results do not depend on the threads") {
  const Table table = isoflop_table(even, 5, 7, 1.6, 1.0, 0.002, 9);
  FitOptions options = with("isoflop", 40);
  const Fit one = fit_law(table, options);
  options.threads = 2;
  const Fit two = fit_law(table, options);
  CHECK(one.samples == two.samples);
}

TEST_CASE("procedures: coefficients of one procedure's quantities have distinct names") {
  for (const Procedure* procedure : procedures()) {
    CAPTURE(procedure->name);
    CHECK(find_procedure(procedure->name) == procedure);
    for (const Law* law : procedure->laws) {
      CHECK(find_procedure_law(law->name) == law);
      CHECK(law->name.substr(0, procedure->name.size()) == procedure->name);
    }
  }
}

TEST_CASE("isoflop: each budget's rows and curve are kept for drawing") {
  for (const char* name : {"isoflop", "isoflop-interpolated"}) {
    CAPTURE(name);
    const Fit fit = fit_law(isoflop_table(even, 6, 9, 1.5, 1.0, 0.0, 1), with(name, 0));
    REQUIRE(fit.derivation["budget_curves"].size() == 6);
    for (const Json& budget : fit.derivation["budget_curves"]) {
      CHECK(budget["rows"].size() == 9);
      REQUIRE(budget["curve"].size() == 24);
      const double flops = budget["C"].get<double>(), best = even.best_size(flops);
      double least = 1e300, at = 0.0;
      for (const Json& point : budget["curve"])
        if (point[1].get<double>() < least)
          least = point[1].get<double>(), at = point[0].get<double>();
      CHECK(at == doctest::Approx(best).epsilon(0.2));
      CHECK(least == doctest::Approx(even.loss(best, flops / (6.0 * best))).epsilon(0.02));
    }
  }
}

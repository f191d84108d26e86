#include "law/diagnose.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/error.h"
#include "core/random.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/predict.h"
#include "law/select.h"
#include "law/solve.h"
#include "law/uncertainty.h"

using namespace rung;

namespace {

// Chinchilla losses at the given points with noise in logs.
Table planted(const std::vector<double>& n, const std::vector<double>& d, double sd,
              double e = 1.8) {
  Table table;
  std::vector<double> loss;
  Random random(3, "diagnose");
  for (size_t i = 0; i < n.size(); ++i)
    loss.push_back(evaluate_law(chinchilla_law, std::vector{e, 480.0, 2100.0, 0.35, 0.37},
                                std::vector{n[i], d[i]}) *
                   std::exp(sd * random.normal()));
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  return table;
}

// size x size grid of N from 1e7 and D from 1e9, `decades` wide each.
Table grid(int size, double decades, double sd) {
  std::vector<double> n, d;
  for (int i = 0; i < size; ++i)
    for (int j = 0; j < size; ++j) {
      n.push_back(1e7 * std::pow(10, decades * i / (size - 1)));
      d.push_back(1e9 * std::pow(10, decades * j / (size - 1)));
    }
  return planted(n, d, sd);
}

std::string has(const Fit& fit, const char* code) {
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == code) return std::string(severity_name(d.severity));
  return "";
}

const FitOptions quick{.bootstrap = 0};

}  // namespace

TEST_CASE("diagnose: a good design passes without a word") {
  const Fit fit = fit_law(grid(6, 2.5, 0.003), quick);
  CHECK(fit.diagnostics.empty());
  CHECK_FALSE(fit.refused());
}

TEST_CASE("diagnose: what is undetermined is refused and returns no coefficients") {
  const std::vector<double> n = {1e7, 2e7, 5e7, 1e8, 3e8, 1e9, 4e9, 1e10};
  std::vector<double> d20, constant(n.size(), 1e8), spread;
  for (const double v : n) d20.push_back(20 * v);
  for (size_t i = 0; i < n.size(); ++i) spread.push_back(1e9 * std::pow(3.0, (i * 5) % 8));
  const Fit collinear = fit_law(planted(n, d20, 0.002), quick);
  CHECK(has(collinear, "collinear") == "refusal");
  CHECK(collinear.refused());
  CHECK(collinear.coefficients.empty());
  CHECK(has(fit_law(planted(constant, spread, 0.002), quick), "constant-input") == "refusal");
  const Fit few =
      fit_law(planted({1e7, 1e8, 1e9, 1e8, 1e7}, {1e9, 1e10, 1e9, 2e9, 2e10}, 0.0), quick);
  CHECK(has(few, "too-few-points") == "refusal");
}

TEST_CASE("diagnose: an exponent that noise hides is refused") {
  const Fit fit = fit_law(grid(4, 0.12, 0.05), quick);
  CHECK(fit.refused());
}

TEST_CASE("diagnose: a narrow range alone is a warning") {
  const Fit fit = fit_law(grid(6, 0.9, 0.0002), quick);
  CHECK(has(fit, "narrow-range") == "warning");
  CHECK_FALSE(fit.refused());
}

TEST_CASE("diagnose: E that runs to 0 is flagged") {
  std::vector<double> n, d;
  for (int i = 0; i < 25; ++i) {
    n.push_back(1e7 * std::pow(4.0, i / 5));
    d.push_back(1e8 * std::pow(4.0, i % 5));
  }
  const Fit fit = fit_law(planted(n, d, 0.0, -0.1), quick);
  CHECK(has(fit, "at-bound") == "warning");
  CHECK(fit.values()[0] == 0.0);
}

TEST_CASE("diagnose: duplicates and impossible losses are named by row") {
  Table table = grid(5, 2.0, 0.003);
  for (Column& column : table.columns) {
    column.values.push_back(column.values[3]);
    column.values.push_back(column.values[7]);
  }
  table.rows += 2;
  table.columns[2].values.back() = 40.0;
  const Fit fit = fit_law(table, quick);
  CHECK(has(fit, "duplicate-rows") == "warning");
  CHECK(has(fit, "impossible-loss") == "warning");
  for (const Diagnostic& d : fit.diagnostics) {
    if (d.code == "duplicate-rows") CHECK(d.text.find("row 26 = row 4") != std::string::npos);
    if (d.code == "impossible-loss") CHECK(d.text.find("row 27") != std::string::npos);
  }
}

TEST_CASE("diagnose: refusals can be kept as warnings") {
  FitOptions options = quick;
  options.refuse = false;
  const Fit fit = fit_law(grid(4, 0.12, 0.05), options);
  CHECK_FALSE(fit.refused());
  CHECK(fit.coefficients.size() == 5);
}

TEST_CASE("diagnose: checkpoints beside finished runs are told apart from whole runs") {
  Table table = grid(6, 2.0, 0.003);
  std::vector<double> run;
  for (int i = 0; i < 36; ++i) run.push_back(i);
  Table separate = table;
  separate.add("run", run);
  CHECK(has(fit_law(separate, quick), "mixed-checkpoints").empty());
  CHECK(has(fit_law(separate, quick), "checkpoints").empty());
  Table mixed = table;
  for (int i = 0; i < 12; ++i) run[i] = i / 6;  // two runs with six lengths each
  mixed.add("run", run);
  const Fit fit = fit_law(mixed, quick);
  CHECK(has(fit, "mixed-checkpoints") == "warning");
  CHECK(has(fit, "checkpoints").empty());
  for (int i = 0; i < 36; ++i) run[i] = i / 6;
  Table curves = table;
  curves.add("run", run);
  CHECK(has(fit_law(curves, quick), "checkpoints") == "note");
}

TEST_CASE("diagnose: C against 6 N D shows mixed counting, drifts and other units") {
  const Table table = grid(6, 2.0, 0.003);
  const auto with_c = [&](auto&& factor) {
    std::vector<double> c;
    for (size_t i = 0; i < table.rows; ++i)
      c.push_back(6 * table.columns[0].values[i] * table.columns[1].values[i] * factor(i));
    Table result = table;
    result.add("C", c);
    return fit_law(result, quick);
  };
  const Fit plain = with_c([](size_t) { return 1.0; });
  for (const char* code : {"mixed-counting", "counting", "units", "units-mixed"})
    CHECK(has(plain, code).empty());
  const Fit mixed = with_c([](size_t i) { return i % 3 == 0 ? 1.25 : 1.0; });
  CHECK(has(mixed, "mixed-counting") == "warning");
  CHECK(has(mixed, "counting").empty());
  const Fit drift =
      with_c([&](size_t i) { return 1 + 0.4 * std::pow(1e7 / table.columns[0].values[i], 0.3); });
  CHECK(has(drift, "counting") == "note");
  CHECK(has(drift, "mixed-counting").empty());
  CHECK(has(with_c([](size_t) { return 1e6; }), "units") == "warning");
  const Fit partly = with_c([](size_t i) { return i == 4 ? 1e3 : 1.0; });
  CHECK(has(partly, "units-mixed") == "warning");
  CHECK_FALSE(partly.refused());
}

TEST_CASE("diagnose: another count of parameters that drifts against N is noted") {
  const Table table = grid(6, 2.0, 0.003);
  for (const bool drifts : {true, false}) {
    std::vector<double> total;
    for (const double n : table.columns[0].values)
      total.push_back(n * (drifts ? 1 + 3e6 / n : 1.05));
    Table both = table;
    both.add("N_total", total);
    CHECK(has(fit_law(both, quick), "counting") == (drifts ? "note" : ""));
  }
}

TEST_CASE("diagnose: thousands among ones in an input") {
  Table table = grid(6, 2.5, 0.003);
  CHECK(has(fit_law(table, quick), "units-mixed").empty());
  for (size_t i = 12; i < 20; ++i) table.columns[0].values[i] /= 1e6;
  FitOptions options = quick;
  options.refuse = false;
  const Fit fit = fit_law(table, options);
  CHECK(has(fit, "units-mixed") == "warning");
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == "units-mixed") CHECK(d.text.find("8 of 36 rows hold N") != std::string::npos);
}

TEST_CASE("diagnose: few clusters") {
  Table table = grid(6, 2.0, 0.003);
  std::vector<double> size, row;
  for (int i = 0; i < 36; ++i) size.push_back(i / 6), row.push_back(i);
  table.add("size", size);
  table.add("row", row);
  FitOptions options = quick;
  options.cluster_column = "size";
  CHECK(has(fit_law(table, options), "few-clusters") == "warning");
  options.cluster_column = "row";
  CHECK(has(fit_law(table, options), "few-clusters").empty());
}

TEST_CASE("diagnose: a start that never moved is refused, an optimum is not") {
  const Table table = grid(5, 2.0, 0.003);
  const Selection selection = select_rows(table, quick);
  const Problem problem = make_problem(selection, quick);
  Optimum optimum = solve(problem);
  const auto count = [&](std::string_view code) {
    const auto list = diagnose_optimum(selection, problem, optimum, quick);
    return std::count_if(list.begin(), list.end(),
                         [&](const Diagnostic& d) { return d.code == code; });
  };
  CHECK(count("start-not-moved") == 0);
  CHECK(count("not-converged") == 0);
  optimum.solution.theta[3] += 0.05;
  optimum.solution.objective = objective_at(problem, optimum.solution.theta);
  optimum.solution.converged = false;
  CHECK(count("not-converged") == 1);
  optimum.solution.steps = 0;
  CHECK(count("start-not-moved") == 1);
}

TEST_CASE("diagnose: collinear to a degree is a warning, and the condition number says so") {
  std::vector<double> n, d;
  Random random(2, "collinear");
  for (int i = 0; i < 40; ++i) {
    n.push_back(1e7 * std::pow(10, 0.08 * i));
    d.push_back(20 * n.back() * std::exp(0.25 * random.normal()));
  }
  FitOptions options = quick;
  options.refuse = false;
  const Fit fit = fit_law(planted(n, d, 0.0005), options);
  CHECK(has(fit, "collinear") == "warning");
  const Selection near = select_rows(planted(n, d, 0.0005), options);
  const Selection far = select_rows(grid(6, 2.5, 0.0005), options);
  const Problem narrow = make_problem(near, options), wide = make_problem(far, options);
  CHECK(hessian_condition(narrow, solve(narrow).solution.theta, true) >
        10 * hessian_condition(wide, solve(wide).solution.theta, true));
}

TEST_CASE("diagnose: a coefficient that its whole range explains has a flat profile") {
  const Fit fit = fit_law(grid(4, 0.12, 0.05), quick);
  CHECK(fit.refused());
  FitOptions options = quick;
  options.refuse = false;
  const Fit kept = fit_law(grid(5, 0.3, 0.03), options);
  CHECK((has(kept, "flat-profile") == "warning" || has(kept, "at-bound") == "warning"));
  CHECK(has(fit_law(grid(6, 2.5, 0.003), quick), "flat-profile").empty());
}

TEST_CASE("predict: a refused fit quotes its refusal, a doubtful one warns far beyond the data") {
  const std::vector<double> n = {1e7, 2e7, 5e7, 1e8, 3e8, 1e9, 4e9, 1e10};
  std::vector<double> d20;
  for (const double v : n) d20.push_back(20 * v);
  const Fit refused = fit_law(planted(n, d20, 0.002), quick);
  REQUIRE(refused.refused());
  try {
    predict(refused, {{"N", 1e10}, {"D", 1e11}}, 0.9);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("[collinear]") != std::string::npos);
  }
  std::vector<double> a, b;
  for (int i = 0; i < 25; ++i) {
    a.push_back(1e7 * std::pow(4.0, i / 5));
    b.push_back(1e8 * std::pow(4.0, i % 5));
  }
  const Fit zero = fit_law(planted(a, b, 0.0, -0.1), quick);  // E runs to 0
  CHECK(predict(zero, {{"N", 5e9}, {"D", 1e11}}, 0.9).warnings.empty());
  const Prediction far = predict(zero, {{"N", 5e12}, {"D", 1e14}}, 0.9);
  REQUIRE(far.warnings.size() == 2);
  CHECK(far.warnings[0].find("at-bound") != std::string::npos);
  CHECK(far.warnings[1].find("bound-decides") != std::string::npos);
  CHECK(far.outside.at("N") == doctest::Approx(5e12 / 2.56e9));
  CHECK(far.sources.at("noise") >= 0.0);
}

TEST_CASE("diagnose: a failed run is named where it widens the intervals of the others") {
  Table table = grid(6, 2.5, 0.003);
  const Fit clean = fit_law(table, {.bootstrap = 100, .threads = 1});
  table.columns[2].values[7] = 9.0;  // below the loss that counts as impossible
  const Fit fit = fit_law(table, {.bootstrap = 100, .threads = 1});
  REQUIRE(has(fit, "outliers") == "warning");
  std::string text;
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == "outliers") text = d.text;
  CHECK(text.find("1 of 36 rows") != std::string::npos);
  CHECK(text.find("row 8") != std::string::npos);
  // The coefficients hardly move, the intervals do: that is what is warned of.
  CHECK(fit.coefficients[3].value == doctest::Approx(clean.coefficients[3].value).epsilon(0.05));
  CHECK(fit.coefficients[3].se > 5 * clean.coefficients[3].se);
  // Many rows off are no outliers but another law; weights are the caller's own word.
  for (size_t i = 0; i < table.rows; i += 4) table.columns[2].values[i] *= 1.5;
  CHECK(has(fit_law(table, quick), "outliers") == "");
}

TEST_CASE("diagnose: whole columns in millions or billions") {
  Table table = grid(6, 2.5, 0.003);
  for (double& n : table.columns[0].values) n /= 1e6;
  const Fit millions = fit_law(table, quick);
  CHECK(has(millions, "units") == "warning");
  for (double& n : table.columns[0].values) n *= 1e6;
  for (double& d : table.columns[1].values) d /= 1e9;
  CHECK(has(fit_law(table, quick), "units") == "warning");
}

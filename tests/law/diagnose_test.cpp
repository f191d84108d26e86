// Codes that a design and its optimum earn.
#include "law/diagnose.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/error.h"
#include "law/diagnose_tables.h"
#include "law/predict.h"
#include "law/select.h"
#include "law/solve.h"
#include "law/uncertainty.h"

using namespace rung;

TEST_CASE("diagnose: a good design passes without a word") {
  const Fit fit = fit_law(chinchilla_grid(6, 2.5, 0.003), no_bootstrap);
  CHECK(fit.diagnostics.empty());
  CHECK_FALSE(fit.refused());
}

TEST_CASE("diagnose: what is undetermined is refused and returns no coefficients") {
  const std::vector<double> n = {1e7, 2e7, 5e7, 1e8, 3e8, 1e9, 4e9, 1e10};
  std::vector<double> d20, constant(n.size(), 1e8), spread;
  for (const double v : n) d20.push_back(20 * v);
  for (size_t i = 0; i < n.size(); ++i) spread.push_back(1e9 * std::pow(3.0, (i * 5) % 8));
  const Fit collinear = fit_law(chinchilla_table(n, d20, 0.002), no_bootstrap);
  CHECK(severity_of(collinear, "collinear") == "refusal");
  CHECK(collinear.refused());
  CHECK(collinear.coefficients.empty());
  CHECK(severity_of(fit_law(chinchilla_table(constant, spread, 0.002), no_bootstrap),
                    "constant-input") == "refusal");
  const Fit few = fit_law(
      chinchilla_table({1e7, 1e8, 1e9, 1e8, 1e7}, {1e9, 1e10, 1e9, 2e9, 2e10}, 0.0), no_bootstrap);
  CHECK(severity_of(few, "too-few-points") == "refusal");
}

TEST_CASE("diagnose: an exponent that noise hides is refused") {
  const Fit fit = fit_law(chinchilla_grid(4, 0.12, 0.05), no_bootstrap);
  CHECK(fit.refused());
}

TEST_CASE("diagnose: a narrow range alone is a warning") {
  const Fit fit = fit_law(chinchilla_grid(6, 0.9, 0.0002), no_bootstrap);
  CHECK(severity_of(fit, "narrow-range") == "warning");
  CHECK_FALSE(fit.refused());
}

TEST_CASE("diagnose: E that runs to 0 is flagged") {
  std::vector<double> n, d;
  for (int i = 0; i < 25; ++i) {
    n.push_back(1e7 * std::pow(4.0, i / 5));
    d.push_back(1e8 * std::pow(4.0, i % 5));
  }
  const Fit fit = fit_law(chinchilla_table(n, d, 0.0, -0.1), no_bootstrap);
  CHECK(severity_of(fit, "at-bound") == "warning");
  CHECK(fit.values()[0] == 0.0);
}

TEST_CASE("diagnose: refusals can be kept as warnings") {
  FitOptions options = no_bootstrap;
  options.refuse = false;
  const Fit fit = fit_law(chinchilla_grid(4, 0.12, 0.05), options);
  CHECK_FALSE(fit.refused());
  CHECK(fit.coefficients.size() == 5);
}

TEST_CASE("diagnose: a start that never moved is refused, an optimum is not") {
  const Table table = chinchilla_grid(5, 2.0, 0.003);
  const Selection selection = select_rows(table, no_bootstrap);
  const Problem problem = make_problem(selection, no_bootstrap);
  Optimum optimum = solve(problem);
  const auto count = [&](std::string_view code) {
    const auto list = diagnose_optimum(selection, problem, optimum, no_bootstrap);
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
  FitOptions options = no_bootstrap;
  options.refuse = false;
  const Fit fit = fit_law(chinchilla_table(n, d, 0.0005), options);
  CHECK(severity_of(fit, "collinear") == "warning");
  const Selection near = select_rows(chinchilla_table(n, d, 0.0005), options);
  const Selection far = select_rows(chinchilla_grid(6, 2.5, 0.0005), options);
  const Problem narrow = make_problem(near, options), wide = make_problem(far, options);
  CHECK(hessian_condition(narrow, solve(narrow).solution.theta, true) >
        10 * hessian_condition(wide, solve(wide).solution.theta, true));
}

TEST_CASE("diagnose: a coefficient that its whole range explains has a flat profile") {
  const Fit fit = fit_law(chinchilla_grid(4, 0.12, 0.05), no_bootstrap);
  CHECK(fit.refused());
  FitOptions options = no_bootstrap;
  options.refuse = false;
  const Fit kept = fit_law(chinchilla_grid(5, 0.3, 0.03), options);
  CHECK((severity_of(kept, "flat-profile") == "warning" ||
         severity_of(kept, "at-bound") == "warning"));
  CHECK(severity_of(fit_law(chinchilla_grid(6, 2.5, 0.003), no_bootstrap), "flat-profile").empty());
}

TEST_CASE("predict: a refused fit quotes its refusal, a doubtful one warns far beyond the data") {
  const std::vector<double> n = {1e7, 2e7, 5e7, 1e8, 3e8, 1e9, 4e9, 1e10};
  std::vector<double> d20;
  for (const double v : n) d20.push_back(20 * v);
  const Fit refused = fit_law(chinchilla_table(n, d20, 0.002), no_bootstrap);
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
  const Fit zero = fit_law(chinchilla_table(a, b, 0.0, -0.1), no_bootstrap);  // E runs to 0
  CHECK(predict(zero, {{"N", 5e9}, {"D", 1e11}}, 0.9).warnings.empty());
  const Prediction far = predict(zero, {{"N", 5e12}, {"D", 1e14}}, 0.9);
  REQUIRE(far.warnings.size() == 2);
  CHECK(far.warnings[0].find("at-bound") != std::string::npos);
  CHECK(far.warnings[1].find("bound-decides") != std::string::npos);
  CHECK(far.outside.at("N") == doctest::Approx(5e12 / 2.56e9));
  CHECK(far.sources.at("noise") >= 0.0);
}

<<<<<<< HEAD
// Checks of a law on its own simulated ladders (law/simulate.h).
#pragma once
#include <doctest/doctest.h>

=======
// Tables that follow a law exactly or with noise, for recovery tests.
#pragma once
>>>>>>> 055b396 (Add closed-form laws: Kaplan, counting and warm-up, over-training, repeated data, shape, distillation, k-bit, densing; lifetime optimum)
#include <cmath>
#include <string>
#include <vector>

<<<<<<< HEAD
#include "law/fit.h"
#include "law/polish.h"
#include "law/select.h"
#include "law/simulate.h"

namespace rung {

// The law's design measured with coefficients `c`, with or without the law's noise.
inline Table planted_table(const Law& law, const std::vector<double>& c, bool noise,
                           uint64_t seed = 1) {
  Planted planted = plant(law);
  planted.coefficients = c;
  Table table = simulate(planted, seed, 0);
  if (!noise)
    for (size_t i = 0; i < planted.at.size(); ++i)
      table.columns.back().values[i] = measure(planted, planted.at[i], 0.0);
  return table;
}

inline Table planted_table(const Law& law, bool noise, uint64_t seed = 1) {
  return planted_table(law, plant(law).coefficients, noise, seed);
}

inline std::string diagnostics_of(const Fit& fit) {
  std::string text;
  for (const Diagnostic& d : fit.diagnostics) text += d.code + ": " + d.text + "\n";
  return text;
}

inline bool has_refusal(const Fit& fit, std::string_view code) {
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == code && d.severity == Severity::refusal) return true;
  return false;
}

// Rows without noise give the planted coefficients back within `tolerance` (relative).
inline void check_recovery(const Law& law, double tolerance, FitOptions options = {}) {
  options.law = law.name;
  options.bootstrap = 0;
  const std::vector<double> truth = plant(law).coefficients;
  const Fit fit = fit_law(planted_table(law, false), options);
  CAPTURE(diagnostics_of(fit));
  REQUIRE_FALSE(fit.refused());
  for (size_t i = 0; i < truth.size(); ++i) {
    CAPTURE(law.coefficients[i].name);
    CHECK(fit.values()[i] == doctest::Approx(truth[i]).epsilon(tolerance));
  }
}

// The minimum that lies nearest to the planted truth.
inline double polished_truth(const Table& table, const std::vector<double>& truth,
                             const FitOptions& options) {
  const Selection selection = select_rows(table, options);
  const Problem problem = make_problem(selection, options);
  Vector theta(problem.size());
  for (int i = 0; i < problem.size(); ++i)
    theta[i] = to_theta(problem.law->coefficients[i], truth[i]);
  return polish(problem, theta).objective;
}

// With the law's noise a fit is at least as good as a polish that starts from the planted truth,
// and the truth lies within 4.5 standard errors of every coefficient, on each of a few ladders.
inline void check_noisy_recovery(const Law& law, FitOptions options = {}, int ladders = 3) {
  options.law = law.name;
  options.bootstrap = 0;
  const std::vector<double> truth = plant(law).coefficients;
  for (int seed = 1; seed <= ladders; ++seed) {
    CAPTURE(seed);
    const Table table = planted_table(law, true, seed);
    const Fit fit = fit_law(table, options);
    CAPTURE(diagnostics_of(fit));
    REQUIRE_FALSE(fit.refused());
    CHECK(fit.objective_value <= polished_truth(table, truth, options) * (1.0 + 1e-6));
    for (size_t i = 0; i < truth.size(); ++i) {
      const Estimate& estimate = fit.coefficients[i];
      if (estimate.fixed) continue;
      CAPTURE(estimate.name);
      CAPTURE(estimate.value);
      CAPTURE(estimate.se);
      CHECK(std::fabs(estimate.value - truth[i]) <= 4.5 * estimate.se);
    }
  }
=======
#include "core/random.h"
#include "law/law.h"
#include "law/objective.h"
#include "law/table.h"

namespace rung {

// Values of one input per row, for every input of the law.
using Rows = std::vector<std::vector<double>>;

// Every combination of the axes' values, one axis an input.
inline Rows product(const std::vector<std::vector<double>>& axes) {
  Rows rows = {{}};
  for (const auto& axis : axes) {
    Rows longer;
    for (const auto& row : rows)
      for (const double value : axis) {
        longer.push_back(row);
        longer.back().push_back(value);
      }
    rows = std::move(longer);
  }
  return rows;
}

// `count` values from lo to hi, evenly in their logarithm.
inline std::vector<double> geometric(double lo, double hi, int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i)
    values.push_back(lo * std::pow(hi / lo, i / std::max(1.0, count - 1.0)));
  return values;
}

// A table of the law's own columns. Noise of deviation `sd` is in the residual of the law's
// objective: a factor e^noise, or a summand where that objective takes raw residuals.
inline Table planted(const Law& law, const std::vector<double>& truth, const Rows& rows,
                     double sd = 0.0, uint64_t seed = 0) {
  const bool logs = find_objective(law.objective).log_residual;
  Random random(seed, "planted");
  std::vector<std::vector<double>> columns(law.inputs.size());
  std::vector<double> target;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) columns[i].push_back(row[i]);
    const double noise = sd * random.normal();
    const double exact = evaluate_law(law, truth, row);
    target.push_back(logs ? exact * std::exp(noise) : exact + noise);
  }
  Table table;
  for (size_t i = 0; i < columns.size(); ++i)
    table.add(std::string(law.inputs[i]), std::move(columns[i]));
  table.add(std::string(law.target), std::move(target));
  return table;
}

// The values that the law's source publishes.
inline std::vector<double> typical_of(const Law& law) {
  std::vector<double> values;
  for (const Coefficient& coefficient : law.coefficients) values.push_back(coefficient.typical);
  return values;
>>>>>>> 055b396 (Add closed-form laws: Kaplan, counting and warm-up, over-training, repeated data, shape, distillation, k-bit, densing; lifetime optimum)
}

}  // namespace rung

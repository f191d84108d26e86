// Checks of a law on its own simulated ladders (law/simulate.h).
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

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
}

}  // namespace rung

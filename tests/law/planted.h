// Simulated ladders for the tests of laws: rows scattered evenly over a law's design, targets from
// given coefficients, noise of a given deviation in the objective's own residual.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/random.h"
#include "law/fit.h"
#include "law/problem.h"

namespace rung {

inline std::vector<double> typical_coefficients(const Law& law) {
  std::vector<double> c;
  for (const Coefficient& coefficient : law.coefficients) c.push_back(coefficient.typical);
  return c;
}

// Row i of a plan: inputs at the i-th point of Halton's sequence over law.design.
inline std::vector<double> planted_inputs(const Law& law, size_t i) {
  constexpr int primes[] = {2, 3, 5, 7, 11, 13, 17, 19};
  std::vector<double> inputs;
  for (size_t j = 0; j < law.inputs.size(); ++j) {
    double at = 0.0, share = 1.0;
    for (size_t digits = i + 1; digits > 0; digits /= primes[j])
      at += (share /= primes[j]) * static_cast<double>(digits % primes[j]);
    const InputRange& range = law.design[j];
    inputs.push_back(range.linear ? range.lo + at * (range.hi - range.lo)
                                  : range.lo * std::pow(range.hi / range.lo, at));
  }
  return inputs;
}

inline Table planted_table(const Law& law, const std::vector<double>& c, size_t rows,
                           double sd = 0.0, uint64_t seed = 1) {
  const bool logs = find_objective(law.objective).log_residual;
  std::vector<std::vector<double>> inputs(law.inputs.size());
  std::vector<double> target;
  Random random(seed, "planted");
  for (size_t i = 0; i < rows; ++i) {
    const std::vector<double> row = planted_inputs(law, i);
    for (size_t j = 0; j < row.size(); ++j) inputs[j].push_back(row[j]);
    const double value = evaluate_law(law, c, row), noise = sd * random.normal();
    target.push_back(logs ? value * std::exp(noise) : value + noise);
  }
  Table table;
  for (size_t j = 0; j < inputs.size(); ++j) table.add(std::string(law.inputs[j]), inputs[j]);
  table.add(std::string(law.target), target);
  return table;
}

// Rows without noise give the typical coefficients back within `tolerance` (relative).
inline void check_recovery(const Law& law, size_t rows, double tolerance, FitOptions options = {}) {
  const std::vector<double> truth = typical_coefficients(law);
  options.law = law.name;
  options.bootstrap = 0;
  const Fit fit = fit_law(planted_table(law, truth, rows), options);
  for (const Diagnostic& d : fit.diagnostics) INFO(d.code << ": " << d.text);
  REQUIRE_FALSE(fit.refused());
  for (size_t i = 0; i < truth.size(); ++i) {
    CAPTURE(law.coefficients[i].name);
    CHECK(fit.values()[i] == doctest::Approx(truth[i]).epsilon(tolerance));
  }
}

// With the law's typical noise the fit is at least as good as the planted truth, and the truth lies
// within 4.5 standard errors of every coefficient, on each of a few ladders.
inline void check_noisy_recovery(const Law& law, size_t rows, FitOptions options = {},
                                 int ladders = 3) {
  const std::vector<double> truth = typical_coefficients(law);
  options.law = law.name;
  options.bootstrap = 0;
  for (int seed = 1; seed <= ladders; ++seed) {
    CAPTURE(seed);
    const Table table = planted_table(law, truth, rows, law.noise, seed);
    const Fit fit = fit_law(table, options);
    std::string codes;
    for (const Diagnostic& d : fit.diagnostics) codes += d.code + ": " + d.text + "\n";
    CAPTURE(codes);
    REQUIRE_FALSE(fit.refused());
    FitOptions held = options;
    for (size_t i = 0; i < truth.size(); ++i)
      held.fixed[std::string(law.coefficients[i].name)] = truth[i];
    CHECK(fit.objective_value <= fit_law(table, held).objective_value * (1.0 + 1e-9));
    for (size_t i = 0; i < truth.size(); ++i) {
      const Estimate& estimate = fit.coefficients[i];
      if (estimate.fixed) continue;
      CAPTURE(estimate.name);
      CAPTURE(estimate.value);
      CHECK(std::fabs(estimate.value - truth[i]) <= 4.5 * estimate.se);
    }
  }
}

inline bool has_refusal(const Fit& fit, std::string_view code) {
  for (const Diagnostic& d : fit.diagnostics)
    if (d.code == code && d.severity == Severity::refusal) return true;
  return false;
}

}  // namespace rung

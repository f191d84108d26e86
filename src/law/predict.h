// What a fit says about a point: the loss (or the law's other target) of a new measurement there
// with an interval made of the coefficients' uncertainty, the residual noise and, for a mixture,
// the choice between laws; and how far beyond the data it lies.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "law/fit.h"

namespace rung {

using Point = std::map<std::string, double>;  // N, D, C or a column's name -> value

struct Prediction {
  std::string target = "L";
  double loss = 0.0, lo = 0.0, hi = 0.0, level = 0.9;
  std::map<std::string, double>
      extrapolation;  // value over the data's maximum: N, D, C, D/N and inputs where known
  // How many times beyond the nearest end of the data, for what lies outside them; 1 is the end.
  std::map<std::string, double> outside;
  // Half-widths of the interval by source: coefficients, noise; for a mixture also form and
  // rollout.
  std::map<std::string, double> sources;
  std::vector<std::string> warnings;  // what makes the interval doubtful here
};

// Missing ones of N, D, C are filled in by C = 6 N D. Usage errors: an input that is missing,
// unknown or not in its domain. Fails (refused) on a refused fit.
Prediction predict(const Fit& fit, const Point& at, double level = 0.9);

// Where a prediction lies, a line for each quantity beyond the data and one for those within.
std::string place_text(const Prediction& prediction);

// The law's value alone.
double predict_loss(const Fit& fit, const Point& at);

// Draws from the predictive distribution: coefficients and, unless `noise` is off, one new
// measurement's noise.
std::vector<double> predict_draws(const Fit& fit, const Point& at, bool noise = true,
                                  uint64_t seed = 0);

// Several fits of one target with residuals in one unit, weighted (weights sum to anything
// positive). `extra_sd` widens the residual, for what rollout showed beyond the fits. The loss is
// the weighted mean on the residual's scale: geometric for log residuals.
Prediction predict_mixture(std::span<const Fit> fits, std::span<const double> weights,
                           const Point& at, double level, double extra_sd = 0.0, uint64_t seed = 0);

}  // namespace rung

// What a fit says about a point: the loss (or the law's other target) of a new measurement there
// with an interval made of the coefficients' uncertainty, the residual noise and, for a mixture,
// the choice between laws; and how far beyond the data it lies.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "law/fit.h"

namespace rung {

using Point = std::map<std::string, double>;  // N, D, C or a column's name -> value

// What a coefficient at its bound leaves open at a point (law/open_end.h). E is the same number
// everywhere, so its share grows with the distance from the data, where the terms beside it fade.
struct BoundShare {
  std::string coefficient;
  double bound = 0.0, other = 0.0;  // where it ended, and the far end of what the data allow
  double loss = 0.0;                // the prediction with that other end
  double share = 0.0;               // of the interval's width by which the prediction moves there
  bool decides = false;             // enough to leave the prediction undetermined
};

struct Prediction {
  std::string target = "L";
  double loss = 0.0, lo = 0.0, hi = 0.0, level = 0.9;
  // Value over the data's maximum: N, D, C, D/N and inputs where known.
  std::map<std::string, double> extrapolation;
  // How many times beyond the nearest end of the data, for what lies outside them; 1 is the end.
  std::map<std::string, double> outside;
  // Half-widths of the interval by source: coefficients, noise; for a mixture also form and
  // rollout.
  std::map<std::string, double> sources;
  std::vector<std::string> warnings;  // what makes the interval doubtful here
  std::vector<BoundShare> at_bound;   // of each coefficient at its bound
};

// The prediction's with those of a fit added that has `weight` in it: laws of a mixture that share
// a coefficient move the prediction together. `law_at` gives the law there for any coefficients.
using LawAt = std::function<double(const std::vector<double>& coefficients)>;
std::vector<BoundShare> bound_shares(const Fit& fit, const LawAt& law_at,
                                     const Prediction& prediction, double weight = 1.0);

// What a fit's table leaves doubtful about its units: whatever the fit says stands in them. Every
// prediction has it among its warnings.
std::vector<std::string> unit_doubts(const Fit& fit);

// Why a coefficient at its bound leaves the prediction undetermined; empty where none does. It is
// among the warnings too.
std::string undetermined_text(const Prediction& prediction);
constexpr std::string_view undetermined_advice =
    "Add runs nearer to the point, say what is known (fit --fix or --bound), or go on with "
    "--force.";

// Refuses (exit status 3) such a prediction; `verb` is who asks.
void refuse_undetermined(const Prediction& prediction, std::string_view verb);

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

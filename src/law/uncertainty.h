// How sure a fit is: resampled fits, the sandwich covariance, likelihood ratios, the Hessian's
// condition number.
#pragma once
#include <vector>

#include "core/random.h"
#include "law/fit.h"
#include "law/select.h"
#include "law/solve.h"

namespace rung {

struct Samples {
  std::vector<Vector> theta;
  std::vector<double> noise_factor;  // of the residual noise, per sample
};

// Refits of resampled rows (or of noise drawn around the law), each polished from the optimum; one
// that fails or runs into a bound is also solved from the grid, and the better kept. Sample i
// depends on (seed, i) alone.
Samples bootstrap(const Selection& selection, const Problem& problem, const Optimum& optimum,
                  int count, const FitOptions& options);
// Whether most of such samples left all coefficients where they were though rows scatter: Huber
// losses stay at an optimum where every run that is drawn has as many rows above the law as below.
bool unmoved(const Samples& samples, const Selection& selection, const Problem& problem,
             const Vector& theta);

// Draws from the normal approximation H^-1 (sum g g^T) H^-1 around the optimum, g the gradients of
// rows or clusters, clamped to the bounds: needs no refit.
Samples sandwich(const Selection& selection, Problem problem, const Vector& theta, int count,
                 uint64_t seed);

// Standard deviation per row of the residual: the known one, inflated where the misfit exceeds it;
// else the residuals' own, corrected for degrees of freedom.
std::vector<double> row_noise(const Selection& selection, const Problem& problem,
                              const Vector& theta);

// Residuals as a distribution for new measurements: widened for degrees of freedom, as sorted
// quantiles.
std::vector<double> residual_noise(const Selection& selection, const Problem& problem,
                                   const Vector& theta);

// A draw of true over estimated deviation, the estimate resting on so many degrees of freedom.
double noise_scale_draw(double freedom, Random& random);

// True when the bootstrap draws rows or clusters: always with clusters, else with at least 20 rows
// per free coefficient (with fewer their intervals miss the level, in either direction), unless
// options say otherwise.
bool draws_rows(const Problem& problem, const FitOptions& options);

// True when it draws blocks of consecutive rows: for learning curves, unless options say otherwise.
bool draws_blocks(const Problem& problem, const FitOptions& options);

// Twice the log likelihood ratio that an increase of the objective stands for (its own noise scale
// estimated).
double deviance(const Problem& problem, const Solution& optimum, double objective);

// Largest over smallest eigenvalue of the Hessian in the free theta; infinity when it is singular;
// with `scaled`, after scaling its diagonal to one.
double hessian_condition(const Problem& problem, const Vector& theta, bool scaled = false);

// The standard normal distribution's quantile.
double normal_quantile(double probability);

// Linear-interpolation quantile of unsorted values; NaN when there are none.
double quantile(std::vector<double> values, double probability);

}  // namespace rung

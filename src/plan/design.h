// Optimal design: which runs, trained next, would tell most about the target.
//   information   every run at x adds g g^T/s^2 to the inverse covariance of the coefficients
//                 theta; g is the residual's gradient in theta, s^2 the variance that one
//                 residual has under the fit's objective, E psi^2/(E psi')^2 with psi its slope
//   target        the variance g_T^T Cov g_T of the law at the target is made least
//   d             the determinant of Cov is made least (D-optimality)
// Cov is that of the fit's resamples. Runs are chosen greedily, by gain and by gain a FLOP, then
// exchanged one by one while that helps, within a budget for all of them; the better set is kept.
// Source: Fedorov 1972, "Theory of Optimal Experiments", for exchange; Atkinson, Donev & Tobias
// 2007, "Optimum Experimental Designs", for both criteria.
#pragma once
#include <string>
#include <vector>

#include "law/fit.h"
#include "law/predict.h"

namespace rung {

enum class Criterion { target, determinant };

struct DesignOptions {
  size_t runs = 4;  // at most
  Criterion criterion = Criterion::target;
  Point target{};                                       // N, D and what else the law reads
  std::vector<Point> candidates{};                      // the same; empty: a grid
  double max_run_flops = unbounded, flops = unbounded;  // of one run, of all together
  double level = 0.9;
};

struct DesignRun {
  Point at{};
  double flops = 0.0;
  double sd = 0.0;     // of the law at the target over that before, once this run is in too
  double share = 0.0;  // of the variance at the target that it removes when it comes in this order
};

struct Design {
  std::vector<DesignRun> runs{};
  size_t candidates = 0;
  double flops = 0.0;
  double loss = 0.0;             // of the law at the target
  Range before{}, after{};       // its interval, from the coefficients alone
  double sd_ratio = 1.0;         // after over before
  double log_determinant = 0.0;  // ln of det Cov before over after
  double residual_sd = 0.0;      // s
  std::vector<std::string> remarks{};
};

// Refuses a refused fit and one without resamples. Usage errors: no run, no candidate within the
// limits, a candidate without an input that the law reads.
Design design_runs(const Fit& fit, const DesignOptions& options);

// N and D on a logarithmic grid over the data's range and ten times beyond it, up to so many FLOPs
// a run and at most twice outside the data's range of D/N; further inputs as at the target.
std::vector<Point> candidate_grid(const Fit& fit, const Point& target, double max_run_flops);

// s: the deviation that a new residual counts with under the fit's objective.
double effective_deviation(const Fit& fit);

}  // namespace rung

// Rollout: refit without the largest rungs and predict them. A candidate is a law and a regime (how
// many of the smallest rungs are dropped); its errors on the rungs that it had not seen choose and
// weight it, without the target.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "law/fit.h"

namespace rung {

struct Candidate {
  std::string label;
  FitOptions options;  // law, columns, weights, bounds, priors; bootstrap is not used here
  // Rungs (distinct values of the ordering column) left out at the small end.
  int drop_smallest = 0;
};

struct RolloutOptions {
  std::string order = "C";    // quantity or column that orders the rungs
  int max_hold_out = 3;       // the largest 1 .. this many rungs are held out in turn
  int min_points = 4;         // rows that a refit needs
  double noise_floor = 1e-3;  // of the error: smaller ones do not distinguish candidates
};

// One refit: what was held out and how each held-out row was predicted.
struct RolloutStep {
  int held_out = 0;                  // rungs held out
  size_t points = 0;                 // rows fitted
  std::vector<double> coefficients;  // of the refit
  std::vector<size_t> rows;          // held-out rows of the table
  std::vector<double> error;         // ln(prediction / measured) of each; the difference where the
                                     // objective's residuals are raw
  std::vector<double> ahead;         // order column over its largest fitted value, of each
  double next_error = 0.0;           // error of the nearest held-out rung (mean over its rows)
  double far_error = 0.0;            // error of the largest rung (mean over its rows)
};

struct Rollout {
  std::string label;
  std::vector<RolloutStep> steps;
  double score = 0.0;   // root mean square error over the steps' rungs, floor added; infinity when
                        // no step was possible
  double weight = 0.0;  // of this candidate among those scored together; they sum to one
  std::string problem;  // why there is no step, if there is none
};

// Refits one candidate. Never fails for lack of points or a bad fit: says so in `problem`.
Rollout roll_out(const Table& table, const Candidate& candidate,
                 const RolloutOptions& options = {});

// All candidates with weights proportional to score^-m, m the largest number of steps (the
// likelihood of the errors with their scale integrated out). Equal weights when nothing could be
// scored.
std::vector<Rollout> score_candidates(const Table& table, const std::vector<Candidate>& candidates,
                                      const RolloutOptions& options = {});

// What the held-out rungs missed by beyond the noise of single rows.
double excess_error(const Rollout& rollout, double noise);

// Every pairing of the given options with 0 .. max_drop dropped rungs; labels read `power, 2
// smallest dropped`.
std::vector<Candidate> make_candidates(const std::vector<FitOptions>& laws, int max_drop);

// The candidate's final fit on all rungs of its regime (nothing held out), with its bootstrap;
// never refuses.
Fit fit_candidate(const Table& table, const Candidate& candidate,
                  const RolloutOptions& options = {});

}  // namespace rung

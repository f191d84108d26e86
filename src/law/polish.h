// From a start to the nearest minimum of the true objective in all coefficients at once: Newton's
// method with box bounds. The damping metric is the objective's own majorizer, so steps do not
// depend on the coefficients' units and stay descents across Huber's kinks; an L1 objective is
// reached through ever sharper smoothings.
#pragma once
#include <functional>

#include "law/problem.h"

namespace rung {

struct PolishOptions {
  int max_steps = 400;
  // Stop when a step's promised decrease is below this fraction of the objective.
  double tolerance = 1e-13;
  // The next two end only a polish that has settled: full Newton steps whose promises the last one
  // kept and of which the next promises less than a quarter, so that hardly more than the promise
  // is left to gain.
  double settled_tolerance = 0.0;    // stop after a step that promises less than this fraction
  double abandon_above = unbounded;  // stop when ten promises more would not lead below this
  // Asked after every step: whether the caller needs no more of them.
  std::function<bool(const Vector& theta)> enough{};
};

struct Solution {
  Vector theta{};
  double objective = unbounded;
  int steps = 0;
  bool converged = false;
  bool stopped = false;  // by PolishOptions::enough
};

Solution polish(const Problem& problem, const Vector& start, const PolishOptions& options = {});

}  // namespace rung

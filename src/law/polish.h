// From a start to the nearest minimum of the true objective in all coefficients at once: Newton's
// method with box bounds. The damping metric is the objective's own majorizer, so steps do not
// depend on the coefficients' units and stay descents across Huber's kinks; an L1 objective is
// reached through ever sharper smoothings.
#pragma once
#include "law/problem.h"

namespace rung {

struct PolishOptions {
  int max_steps = 400;
  double tolerance =
      1e-13;  // stop when a step's promised decrease is below this fraction of the objective
};

struct Solution {
  Vector theta{};
  double objective = unbounded;
  int steps = 0;
  bool converged = false;
};

Solution polish(const Problem& problem, const Vector& start, const PolishOptions& options = {});

}  // namespace rung

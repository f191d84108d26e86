// Where a fit starts: variable projection. On a grid of the few non-linear coefficients the linear
// ones follow from non-negative least squares on relative residuals; the grid's local minima, best
// first, are the starts.
#pragma once
#include <vector>

#include "law/problem.h"

namespace rung {

struct Start {
  Vector theta{};
  double objective = unbounded;
};

// Up to `count` starts (four times as many local minima of a grid that is looked at as a whole),
// best first; never empty. `coarse` takes a quarter of the points per
// coefficient, but for places along an input.
std::vector<Start> grid_starts(const Problem& problem, size_t count = 6, bool coarse = false);

}  // namespace rung

#include "law/solve.h"

#include <algorithm>

#include "law/start.h"

namespace rung {
namespace {

// Above this many rows the grid looks at an even subsample; the last polish sees every row.
constexpr size_t grid_rows = 2000;

}  // namespace

Optimum solve(const Problem& problem, size_t starts, bool coarse) {
  if (problem.data->rows() > 2 * grid_rows) {
    const Observations few = thinned(*problem.data, grid_rows);
    Problem small = problem;
    small.data = &few;
    Optimum optimum = solve(small, starts, coarse);
    optimum.start = optimum.solution.theta;
    optimum.start_objective = objective_at(problem, optimum.start);
    optimum.solution = polish(problem, optimum.start);
    return optimum;
  }
  Optimum best;
  for (const Start& start : grid_starts(problem, starts, coarse)) {
    const Solution found = polish(problem, start.theta);
    ++best.starts;
    if (best.starts > 1 && !(found.objective < best.solution.objective)) continue;
    best.solution = found;
    best.start = start.theta;
    best.start_objective = start.objective;
  }
  return best;
}

Solution solve_with_fixed(const Problem& problem, int coefficient, double theta) {
  Problem held = problem;
  held.lo[coefficient] = held.hi[coefficient] = theta;
  return solve(held, 3).solution;
}

Solution walk_with_fixed(const Problem& problem, const Vector& from, int coefficient,
                         double theta) {
  constexpr int steps = 3;
  Problem held = problem;
  Solution found{.theta = from};
  for (int i = 1; i <= steps; ++i) {
    const double at =
        i == steps ? theta : from[coefficient] + (theta - from[coefficient]) * i / steps;
    held.lo[coefficient] = held.hi[coefficient] = at;
    found = polish(held, found.theta, {.max_steps = 25, .tolerance = 1e-5});
  }
  return found;
}

}  // namespace rung

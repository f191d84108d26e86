#include "law/solve.h"

#include <algorithm>

#include "law/start.h"
#include "law/sweep.h"

namespace rung {
namespace {

// Above this many rows the grid looks at an even subsample; the last polish sees every row.
constexpr size_t grid_rows = 2000;

// Whether most rows share their inputs with another one.
bool repeats(const Observations& sorted) {
  const size_t width = 2 * sorted.inputs;
  size_t points = 1;
  for (size_t row = 1; row < sorted.rows(); ++row) {
    const double* x = sorted.x.data() + row * width;
    points += !std::equal(x, x + sorted.inputs, x - width);
  }
  return 2 * points <= sorted.rows();
}

// How thoroughly to look: `coarse` as for solve; `walk`: along flat valleys too.
struct Search {
  size_t starts = 0;
  bool coarse = false, walk = false;
};

// From the grid; the rows are as they should be.
Optimum solve_rows(const Problem& problem, const Search& search) {
  const auto [starts, coarse, walk] = search;
  Optimum best;
  const int place = coarse ? -1 : place_coefficient(problem);
  for (const Start& start : grid_starts(problem, starts, coarse)) {
    // The sweep finds the minima that the grid's lesser ones would lead to.
    if (place >= 0 && best.starts == starts) break;
    const Solution found = polish(problem, start.theta);
    ++best.starts;
    if (best.starts > 1 && !(found.objective < best.solution.objective)) continue;
    best.solution = found;
    best.start = start.theta;
    best.start_objective = start.objective;
  }
  if (walk) best.solution = walk_valleys(problem, best.solution);
  if (walk && place < 0) {
    // Only what is lower replaces what was found, and the valleys beside it are new.
    const Solution probed = probe_ends(problem, best.solution);
    if (probed.objective < best.solution.objective) best.solution = walk_valleys(problem, probed);
  }
  if (place >= 0) best.solution = sweep_place(problem, place, best.solution);
  return best;
}

Optimum solve(const Problem& problem, const Search& search) {
  if (problem.data->rows() > 2 * grid_rows) {
    const Observations few = thinned(*problem.data, grid_rows);
    Problem small = problem;
    small.data = &few;
    Optimum optimum = solve(small, search);
    optimum.start = optimum.solution.theta;
    optimum.start_objective = objective_at(problem, optimum.start);
    optimum.solution = polish(problem, optimum.start);
    return optimum;
  }
  const Observations sorted = grouped(*problem.data);
  Problem same = problem;
  if (repeats(sorted)) same.data = &sorted;
  return solve_rows(same, search);
}

}  // namespace

Optimum solve(const Problem& problem, size_t starts, bool coarse) {
  return solve(problem, Search{starts, coarse, !coarse});
}

Solution solve_with_fixed(const Problem& problem, int coefficient, double theta) {
  Problem held = problem;
  held.lo[coefficient] = held.hi[coefficient] = theta;
  return solve(held, Search{.starts = 3}).solution;
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

#include "law/sweep.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace rung {
namespace {

constexpr int places = 60;
constexpr double near = 0.02;  // minima along the place this far above the best are polished too
// Of walks along a valley: steps as a share of the way, how far above the best they end, and how
// often they begin anew from something lower.
constexpr double shortest_step = 0.002, longest_step = 1.0 / 30.0;
constexpr double walls = 0.002;
constexpr int walks = 3;

// `from` with its nuisances at one of the two lowest values of their grids.
Vector sharpened(const Problem& problem, const Vector& from, int place, int level) {
  Vector theta = from;
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& c = problem.law->coefficients[i];
    if (i == place || !c.nuisance || c.linear || c.grid_points < 2 || problem.fixed(i)) continue;
    const double lo = to_theta(c, c.grid_lo), hi = to_theta(c, c.grid_hi);
    theta[i] =
        std::clamp(lo + level * (hi - lo) / (c.grid_points - 1), problem.lo[i], problem.hi[i]);
  }
  return theta;
}

struct GridRange {
  double lo, hi;
};

GridRange grid_range(const Coefficient& c) {
  return {to_theta(c, c.grid_lo), to_theta(c, c.grid_hi)};
}

// The free non-linear coefficients that have a grid of a given range.
std::vector<int> gridded(const Problem& problem) {
  std::vector<int> result;
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& c = problem.law->coefficients[i];
    if (!c.linear && c.grid_points > 1 && c.along_input < 0 && !problem.fixed(i))
      result.push_back(i);
  }
  return result;
}

// One coefficient to one side, over `reach`: the best of `from` and of the minima passed. Steps
// are short at first, for the neighbours are near.
Solution walk(const Problem& problem, int along, double reach, const Solution& from) {
  Solution best = from, before = from, here = from;
  Problem held = problem;
  double share = 0.0, step = shortest_step;
  for (int k = 1; share < 1.0; ++k) {
    share += step;
    step = std::min(step * 1.5, longest_step);
    const double value =
        std::clamp(from.theta[along] + share * reach, problem.lo[along], problem.hi[along]);
    if (value == here.theta[along]) break;
    held.lo[along] = held.hi[along] = value;
    const Solution next = polish(held, here.theta, {.max_steps = 8, .tolerance = 1e-9});
    if (k > 1 && here.objective <= before.objective && here.objective <= next.objective) {
      const Solution found = polish(problem, here.theta);
      if (found.objective < best.objective) best = found;
    }
    if (!(next.objective <= best.objective * (1.0 + walls))) break;
    before = std::exchange(here, next);
  }
  if (here.objective < best.objective) best = polish(problem, here.theta);  // still falling
  return best;
}

}  // namespace

int place_coefficient(const Problem& problem) {
  for (int i = 0; i < problem.size(); ++i)
    if (problem.law->coefficients[i].along_input >= 0 && !problem.fixed(i)) return i;
  return -1;
}

Solution sweep_place(const Problem& problem, int place, const Solution& from) {
  Solution best = from;
  for (const int level : {0, 1}) {
    std::vector<Solution> at;
    for (int k = 0; k < places; ++k) {
      Problem held = problem;
      const double value =
          problem.lo[place] + (problem.hi[place] - problem.lo[place]) * (k + 0.5) / places;
      held.lo[place] = held.hi[place] = value;
      Vector start = sharpened(problem, from.theta, place, level);
      start[place] = value;
      at.push_back(polish(held, start, {.max_steps = 8, .tolerance = 1e-6}));
    }
    for (size_t k = 0; k < at.size(); ++k) {
      const bool lowest = (k == 0 || at[k].objective <= at[k - 1].objective) &&
                          (k + 1 == at.size() || at[k].objective <= at[k + 1].objective);
      if (!lowest || !(at[k].objective <= best.objective * (1.0 + near))) continue;
      const Solution found = polish(problem, at[k].theta);
      if (found.objective < best.objective) best = found;
    }
  }
  return best;
}

Solution walk_valleys(const Problem& problem, const Solution& from) {
  const std::vector<int> coefficients = gridded(problem);
  Solution best = from;
  for (int round = 0; round < walks; ++round) {
    const Solution here = best;
    for (const int i : coefficients) {
      const GridRange grid = grid_range(problem.law->coefficients[i]);
      if (here.theta[i] >= grid.lo && here.theta[i] <= grid.hi) continue;
      const double reach = 0.5 * (grid.hi - grid.lo);
      for (const double side : {-reach, reach}) {
        const Solution found = walk(problem, i, side, here);
        if (found.objective < best.objective) best = found;
      }
    }
    if (!(best.objective < here.objective)) break;
  }
  return best;
}

}  // namespace rung

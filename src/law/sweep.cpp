#include "law/sweep.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace rung {
namespace {

constexpr int places = 60;
constexpr double near = 0.02;  // minima along the place this far above the best are polished too

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

}  // namespace rung

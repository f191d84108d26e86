#include "law/sweep.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace rung {
namespace {

constexpr int places = 60;
constexpr size_t sharpnesses = 3;  // values of a nuisance, from its grid
constexpr double near = 0.02;      // minima along the place this far above the best are polished
constexpr size_t most_polished = 12;
constexpr double places_walked = 2.0;  // from the lowest to both sides
// Of walks along a valley: steps as a share of the way, how far above the best they end, and how
// often they begin anew from something lower.
constexpr double shortest_step = 0.002, longest_step = 1.0 / 30.0;
constexpr double walls = 0.002;
constexpr int walks = 3;

// The problem with its nuisances, such as the width of a break, held at one of a few values that
// span their grids; `theta` takes them too.
Problem hold_nuisances(const Problem& problem, int place, size_t level, Vector& theta) {
  Problem held = problem;
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& c = problem.law->coefficients[i];
    if (i == place || !c.nuisance || c.linear || c.grid_points < 2 || problem.fixed(i)) continue;
    const double lo = to_theta(c, c.grid_lo), hi = to_theta(c, c.grid_hi);
    theta[i] = std::clamp(lo + static_cast<double>(level) * (hi - lo) / (sharpnesses - 1),
                          problem.lo[i], problem.hi[i]);
    held.lo[i] = held.hi[i] = theta[i];
  }
  return held;
}

// The place moved through its range, up or down, the others following from one value to the next: a
// branch that begins where the break lies beyond most of the data. The lower of what stands in
// `lowest` and of what is found, per value.
void follow(Problem held, int place, const Vector& from, bool up, std::vector<Solution>& lowest) {
  const double lo = held.lo[place], width = (held.hi[place] - lo) / places;
  Vector theta = from;
  for (int step = 0; step < places; ++step) {
    const int k = up ? step : places - 1 - step;
    theta[place] = held.lo[place] = held.hi[place] = lo + (k + 0.5) * width;
    const Solution found = polish(held, theta, {.max_steps = 60, .tolerance = 1e-5});
    theta = found.theta;
    if (found.objective < lowest[k].objective) lowest[k] = found;
  }
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

// Huber's penalty has minima side by side, nearer than the places of the sweep: those beside the
// lowest.
Solution walk_beside(const Problem& problem, int place, const Solution& from) {
  const double reach = (problem.hi[place] - problem.lo[place]) * places_walked / places;
  Solution best = from;
  for (int round = 0; round < walks; ++round) {
    const Solution here = best;
    for (const double side : {-reach, reach}) {
      const Solution found = walk(problem, place, side, here);
      if (found.objective < best.objective) best = found;
    }
    if (!(best.objective < here.objective)) break;
  }
  return best;
}

}  // namespace

int place_coefficient(const Problem& problem) {
  for (int i = 0; i < problem.size(); ++i)
    if (problem.law->coefficients[i].along_input >= 0 && !problem.fixed(i)) return i;
  return -1;
}

Solution sweep_place(const Problem& problem, int place, const Solution& from) {
  std::vector<Solution> minima;
  for (size_t level = 0; level < sharpnesses; ++level) {
    Vector start = from.theta;
    const Problem held = hold_nuisances(problem, place, level, start);
    if (level > 0 && held.free_count() == problem.free_count()) break;  // no nuisances
    std::vector<Solution> at(places);
    for (const bool up : {true, false}) follow(held, place, start, up, at);
    for (size_t k = 0; k < at.size(); ++k)
      if ((k == 0 || at[k].objective <= at[k - 1].objective) &&
          (k + 1 == at.size() || at[k].objective <= at[k + 1].objective))
        minima.push_back(at[k]);
  }
  std::stable_sort(minima.begin(), minima.end(),
                   [](const Solution& a, const Solution& b) { return a.objective < b.objective; });
  if (minima.size() > most_polished) minima.resize(most_polished);
  Solution best = from;
  for (const Solution& minimum : minima) {
    if (!(minimum.objective <= best.objective * (1.0 + near))) break;
    const Solution found = polish(problem, minimum.theta);
    if (found.objective < best.objective) best = found;
  }
  return walk_beside(problem, place, best);
}

namespace {

using Places = std::vector<double> (*)(const Problem& problem, int i, double at);

// Of coefficient i's grid, or its bounds where it has left the grid.
std::vector<double> both_ends(const Problem& problem, int i, double at) {
  const GridRange grid = grid_range(problem.law->coefficients[i]);
  const double lo = problem.lo[i], hi = problem.hi[i];
  return {at < grid.lo ? lo : std::max(grid.lo, lo), at > grid.hi ? hi : std::min(grid.hi, hi)};
}

// Where coefficient i has left its grid, half way to its bound.
std::vector<double> half_way(const Problem& problem, int i, double at) {
  const GridRange grid = grid_range(problem.law->coefficients[i]);
  if (at < grid.lo) return {0.5 * (at + problem.lo[i])};
  if (at > grid.hi) return {0.5 * (at + problem.hi[i])};
  return {};
}

// The best of `from` and of the minima that are reached where one of the non-linear coefficients
// begins at one of these places and the others follow; again from what is lower.
Solution probe(const Problem& problem, const Solution& from, Places places_of) {
  Solution best = from;
  for (int round = 0; round < walks; ++round) {
    const Solution here = best;
    for (const int i : gridded(problem)) {
      for (const double place : places_of(problem, i, here.theta[i])) {
        if (!std::isfinite(place) || place == here.theta[i]) continue;
        Problem held = problem;
        Vector theta = here.theta;
        theta[i] = held.lo[i] = held.hi[i] = place;
        const Solution there = polish(held, theta, {.max_steps = 60, .tolerance = 1e-5});
        const Solution found = polish(problem, there.theta, {.abandon_above = best.objective});
        if (found.objective < best.objective) best = found;
      }
    }
    if (!(best.objective < here.objective * (1.0 - 1e-9))) break;
  }
  return best;
}

}  // namespace

Solution probe_ends(const Problem& problem, const Solution& from) {
  const Solution best = probe(problem, from, both_ends);
  const Solution further = probe(problem, best, half_way);
  return further.objective < best.objective ? probe(problem, further, both_ends) : best;
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

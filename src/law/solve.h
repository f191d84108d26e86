// The optimum of a fitting problem: start grid, then the polish, from every local minimum of the
// grid that counts.
#pragma once
#include "law/polish.h"
#include "law/problem.h"

namespace rung {

struct Optimum {
  Solution solution;
  Vector start;  // where the winning polish began
  double start_objective = 0.0;
  size_t starts = 0;
};

// `coarse`: a start grid with a quarter of the points per coefficient, for refits.
Optimum solve(const Problem& problem, size_t starts = 6, bool coarse = false);

// The same with one coefficient held at a value of theta: a point of its profile.
Solution solve_with_fixed(const Problem& problem, int coefficient, double theta);

// The same from the optimum alone, walked there in a few polishes: for laws whose rows are too dear
// for a grid per point.
Solution walk_with_fixed(const Problem& problem, const Vector& from, int coefficient, double theta);

}  // namespace rung

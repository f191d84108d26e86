// Minima that a start grid steps over: where something lies along an input (the place of a break),
// and along a flat valley that leads out of the grid. Data without a clear break have a shallow
// minimum at many places, those that hardly determine a coefficient one wherever a few residuals
// cross zero together; their order shows only once the other coefficients have followed.
#pragma once
#include "law/polish.h"
#include "law/problem.h"

namespace rung {

// The free coefficient that lies along an input, or -1.
int place_coefficient(const Problem& problem);

// The best of `from` and of what is found when the place moves through its range, upwards and
// downwards, the others following and the nuisances (the width of a break) held at one of three
// values; the lowest minima along these paths are polished to the end with all coefficients free,
// and from the best of them the place is moved in small steps to both sides.
Solution sweep_place(const Problem& problem, int place, const Solution& from);

// The best of `from` and of the minima along the valleys that lead out of the start grid: each
// coefficient that `from` has beyond its grid's range is moved in small steps to both sides, the
// others following, for half the range or until the objective has risen.
Solution walk_valleys(const Problem& problem, const Solution& from);

// The best of `from` and of the minima that are reached where one of the non-linear coefficients
// begins at an end of its start grid, or where it has left the grid at its bound and half way
// there, and the others follow: basins that no minimum of the grid belongs to.
Solution probe_ends(const Problem& problem, const Solution& from);

}  // namespace rung

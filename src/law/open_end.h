// A coefficient at its bound, most often E at 0, is no estimate: the data only say on which side
// the truth lies. How far it may lie is the end of the coefficient's profile interval on the open
// side, with all others refitted there. A prediction that this end moves by much is not
// determined (law/predict.h).
#pragma once
#include <vector>

#include "law/fit.h"
#include "law/problem.h"
#include "law/solve.h"

namespace rung {

// Of every free coefficient in which the formula is linear (irreducible losses, not factors) and
// that ends at a bound, the law's own or the caller's.
std::vector<OpenEnd> open_ends(const Problem& problem, const Solution& optimum, double level);

}  // namespace rung

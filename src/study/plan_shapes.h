// What the search for a climb's plan tries: the rungs below a target, and what is trained on them.
#pragma once
#include <cstdint>
#include <vector>

#include "config/config.h"
#include "study/climb_plan.h"

namespace rung {

constexpr size_t fewest_rungs = 4;

// Widths below the target, largest first, spaced in N.
std::vector<PathPoint> rungs_below(const RunConfig& base, int64_t vocabulary,
                                   const PathPoint& target, const ClimbOptions& options);

// Sweeps, ladder and target; the rungs are given largest first.
ClimbPlan plan_for(const PathPoint& target, std::vector<PathPoint> rungs,
                   const ClimbOptions& options);

// Shapes come in steps, so that the widest affordable climb leaves some of the budget: it buys more
// seeds, a round at a time from the largest rung down, which the prediction hangs on most.
void spend_rest(ClimbPlan& plan);

}  // namespace rung

// How fast this machine trains the path's shapes: read once, to turn a time budget into FLOPs.
#pragma once
#include <memory>
#include <vector>

#include "study/climb_plan.h"
#include "train/population.h"

namespace rung {

struct Rate {
  int64_t width = 0;
  double flops_per_second = 0.0;
};

// Trains a few steps of two members at some widths, about a second each.
std::vector<Rate> measure_rates(const RunConfig& base, std::shared_ptr<const TokenSource> source,
                                const Machine& machine, const ClimbOptions& options);

// Seconds of a plan at those rates (interpolated in ln width).
double plan_seconds(const ClimbPlan& plan, const std::vector<Rate>& rates);

// The largest FLOP budget whose plan takes at most `seconds`.
double flops_for_seconds(const RunConfig& base, int64_t vocabulary, ClimbOptions options,
                         const std::vector<Rate>& rates, double seconds);

}  // namespace rung

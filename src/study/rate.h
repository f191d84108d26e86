// How fast this machine trains the path's shapes: read once, to turn a time budget into FLOPs.
#pragma once
#include <memory>
#include <vector>

#include "study/climb_plan.h"
#include "train/population.h"

namespace rung {

// A population's step takes a time of its own and one for each member: seconds per member's FLOP
// are shared / members + own.
struct Rate {
  int64_t width = 0;
  double shared = 0.0, own = 0.0;
  double seconds_per_flop(int64_t members) const {
    return shared / static_cast<double>(members) + own;
  }
};

// Trains a few steps at some widths, at most a second each: of two members (CPU, where a step
// shares nothing worth counting), of one and of eight (GPU, where narrow models wait for launches).
// In company, where other climbs do the same at this time, each takes its whole second.
std::vector<Rate> measure_rates(const RunConfig& base, std::shared_ptr<const TokenSource> source,
                                const Machine& machine, const ClimbOptions& options,
                                bool company = false);

// Seconds in which this machine trains one model to the point, by a few of its steps.
double seconds_alone(const RunConfig& base, std::shared_ptr<const TokenSource> source,
                     const Machine& machine, const ClimbOptions& options, const PathPoint& point);

// Seconds that a FLOP takes one member of a narrow model when nothing else runs.
double pace_alone(const RunConfig& base, std::shared_ptr<const TokenSource> source,
                  const Machine& machine, const ClimbOptions& options);

// Seconds of a plan at those rates, interpolated in ln width.
double plan_seconds(const ClimbPlan& plan, const std::vector<Rate>& rates);

// The largest FLOP budget whose plan takes at most `seconds`.
double flops_for_seconds(const RunConfig& base, int64_t vocabulary, ClimbOptions options,
                         const std::vector<Rate>& rates, double seconds);

}  // namespace rung

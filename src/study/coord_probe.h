// What one population does to the outputs of its tensors while it trains.
#pragma once
#include "study/coord.h"

namespace rung {

// Appends a sample for every tensor kind, seed and horizon; false when a member diverged. `tick` is
// called after every step and returns false to stop (the samples so far are kept).
bool measure_shape(const std::vector<RunConfig>& members, const CoordPlan& plan,
                   std::shared_ptr<const TokenSource> source, const Machine& machine,
                   const std::function<void(Decoder&)>& alter, const std::function<bool()>& tick,
                   std::vector<CoordSample>& samples);

}  // namespace rung

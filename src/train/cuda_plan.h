// What the CUDA engine decides before it captures a step.
#pragma once
#include "train/population.h"

namespace rung {

// Sequences of every member's batch whose activations fit into the device at once, as a whole
// fraction of the batch. It depends on shapes and the device's size only, never on what is free, so
// that sums do not depend on the neighbours. Where a part's memory is not counted, passes over one
// and two sequences are made to measure it.
int64_t sequences_at_once(const Population& population, bool half);

// Whether two members can share one captured step: the multipliers are constants of its kernels.
bool same_factors(const BlockFactors& a, const BlockFactors& b);

}  // namespace rung

// What the CUDA engine decides before it captures a step.
#pragma once
#include "train/population.h"

namespace rung {

// Sequences of every member's batch whose activations fit into the device at once, as a whole
// fraction of the batch. It depends on shapes and the device's size only, never on what is free, so
// that sums do not depend on the neighbours. Where a part's memory is not counted, passes over one
// and two sequences are made to measure it.
int64_t sequences_at_once(const Population& population, bool half);

// Tensors whose gradients a step need not clear: a product is the first to add to each. Those are
// the maps of attention and dense ffns and an untied readout, in models too wide for the kernels
// that sum such gradients themselves.
std::vector<size_t> written_first(const Decoder& decoder);
// Elements of a member's gradients that are of none of these tensors: where runs of them begin, and
// how long they are.
std::vector<std::pair<int64_t, int64_t>> all_but(const Layout& layout,
                                                 const std::vector<size_t>& tensors);

// Whether two members can share one captured step: the multipliers are constants of its kernels.
bool same_factors(const BlockFactors& a, const BlockFactors& b);

}  // namespace rung

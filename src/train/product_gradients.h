// Gradients that are products' alone: nobody need clear them, and they may be rounded to bf16.
#pragma once
#include <utility>
#include <vector>

#include "config/config.h"
#include "model/decoder.h"

namespace rung {

// Tensors whose gradients a step on a GPU need not clear: a product is the first to add to each.
// Those are the maps of attention and dense ffns and an untied readout, in models too wide for the
// kernels that sum such gradients themselves.
std::vector<size_t> written_first(const Decoder& decoder);
// Of these the blocks' maps where train.gradients rounds them to bf16, else none. To the readout's
// several products add, a share of the tokens each: its sum stays in fp32.
std::vector<size_t> half_gradients(const Decoder& decoder, const RunConfig& config);

// Of tensors that are neither frozen nor named, each at `begin` of a buffer: where runs of their
// elements begin, and how long they are.
std::vector<std::pair<int64_t, int64_t>> all_but(const Layout& layout,
                                                 const std::vector<int64_t>& begin,
                                                 const std::vector<size_t>& tensors);

}  // namespace rung

// What probes of a model's tensors have in common.
#pragma once
#include <string>

#include "model/decoder.h"

namespace rung {

// Attention scores of one layer: q.k times the rule's factor over the pairs that a causal softmax
// without a window sees, [P, B, heads, pairs]. `map` is the output of its qkv map, `weights` begin
// with the layer's.
at::Tensor visible_scores(const Decoder& decoder, std::span<const Weight> weights,
                          const at::Tensor& map, const Rope& rope);

// The name of a tensor without its block: the same in all of them.
std::string kind_of(const std::string& name);

}  // namespace rung

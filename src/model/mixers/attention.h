// What others need to know of attention's inside: its options in a layer, and what its scores are
// made of.
#pragma once
#include <span>

#include "model/part.h"

namespace rung {

AttentionOptions attention_options(const ModelConfig& model, const BlockFactors& block,
                                   int64_t window);

// The output of the map `qkv` with the layer's bias and QK-norm, as scores read it.
at::Tensor finish_qkv(const at::Tensor& qkv, std::span<const Weight> weights,
                      const ModelConfig& model, const AttentionOptions& options);
// From the output of the map `qkv` to what the branch's last map reads.
at::Tensor mixed_values(const at::Tensor& mapped, std::span<const Weight> weights,
                        const Pass& pass);

}  // namespace rung

// The mixers that the table in part.cpp lists.
#pragma once
#include "model/part.h"

namespace rung {

std::vector<TensorSpec> describe_attention(const ModelConfig& model);
double attention_flops(const ModelConfig& model, int64_t time);
at::Tensor attention_forward(std::span<const Weight> weights, const at::Tensor& x,
                             const Pass& pass);

constexpr Part attention_mixer{
    "attention", "causal softmax attention: MHA, GQA or MQA by kv_heads, RoPE, QK-norm",
    describe_attention, attention_flops, attention_forward};

}  // namespace rung

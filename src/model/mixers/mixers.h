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

void check_mamba2(const ModelConfig& model);
std::vector<TensorSpec> describe_mamba2(const ModelConfig& model);
double mamba2_flops(const ModelConfig& model, int64_t time);
at::Tensor mamba2_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part mamba2_mixer{
    "mamba2",        "selective state space with one decay a head (Dao & Gu 2024)",
    describe_mamba2, mamba2_flops,
    mamba2_forward,  check_mamba2,
    false,           true};

}  // namespace rung

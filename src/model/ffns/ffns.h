// The ffns that the table in part.cpp lists.
#pragma once
#include "config/pattern.h"
#include "model/part.h"
#include "ops/activation.h"

namespace rung {

std::vector<TensorSpec> describe_none(const ModelConfig& model);
std::vector<TensorSpec> describe_gated(const ModelConfig& model);
std::vector<TensorSpec> describe_plain(const ModelConfig& model);
double no_extra_flops(const ModelConfig& model, int64_t time);
// The slope and the factors of this layer's activation.
ActivationOptions activation_options(const Pass& pass);
template <Activation kind>
at::Tensor ffn_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part swiglu_ffn{"swiglu", "down(up * gate * sigmoid(gate)) (Shazeer 2020)",
                          describe_gated, no_extra_flops, ffn_forward<Activation::swiglu>};
constexpr Part geglu_ffn{"geglu", "down(up * gelu_tanh(gate)) (Shazeer 2020)", describe_gated,
                         no_extra_flops, ffn_forward<Activation::geglu>};
constexpr Part gelu_ffn{"gelu", "down(gelu_tanh(up))", describe_plain, no_extra_flops,
                        ffn_forward<Activation::gelu>};
constexpr Part relu2_ffn{"relu2", "down(relu(up)^2) (So et al. 2021)", describe_plain,
                         no_extra_flops, ffn_forward<Activation::relu2>};

constexpr Part none_ffn{no_ffn, "no second branch in the block", describe_none, no_extra_flops,
                        nullptr};

}  // namespace rung

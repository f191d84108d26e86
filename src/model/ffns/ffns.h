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
// This layer's factors, and with the slope those of its activation.
FfnFactor ffn_factor_of(const Pass& pass);
ActivationOptions activation_options(const Pass& pass);
template <Activation kind>
at::Tensor ffn_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

// The stream's step through the branch as one op; undefined where there is none for these tensors.
template <Activation kind>
Stepped ffn_step(std::span<const Weight> weights, const at::Tensor& x, const at::Tensor& f,
                 const ResidualStep& step, const Pass& pass);

template <Activation kind>
constexpr Part mlp_part(std::string_view name, std::string_view summary,
                        std::vector<TensorSpec> (*describe)(const ModelConfig&)) {
  return {.name = name,
          .summary = summary,
          .describe = describe,
          .extra_flops = no_extra_flops,
          .forward = ffn_forward<kind>,
          .ternary = true,
          .sub_norm = true,
          .step = ffn_step<kind>};
}

constexpr Part swiglu_ffn = mlp_part<Activation::swiglu>(
    "swiglu", "down(up * gate * sigmoid(gate)) (Shazeer 2020)", describe_gated);
constexpr Part geglu_ffn = mlp_part<Activation::geglu>(
    "geglu", "down(up * gelu_tanh(gate)) (Shazeer 2020)", describe_gated);
constexpr Part reglu2_ffn = mlp_part<Activation::reglu2>(
    "reglu2", "down(up * relu(gate)^2) (Ma et al. 2025)", describe_gated);
constexpr Part gelu_ffn = mlp_part<Activation::gelu>("gelu", "down(gelu_tanh(up))", describe_plain);
constexpr Part relu2_ffn =
    mlp_part<Activation::relu2>("relu2", "down(relu(up)^2) (So et al. 2021)", describe_plain);

void check_moe(const ModelConfig& model);
std::vector<TensorSpec> describe_moe(const ModelConfig& model);
at::Tensor moe_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);
constexpr Part moe_ffn{"moe",        "top-k of many SwiGLU experts, none dropped (Switch, Mixtral)",
                       describe_moe, no_extra_flops,
                       moe_forward,  check_moe};

void check_peer(const ModelConfig& model);
std::vector<TensorSpec> describe_peer(const ModelConfig& model);
double peer_flops(const ModelConfig& model, int64_t time);
at::Tensor peer_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);
constexpr Part peer_ffn{
    "peer",        "retrieval from up to a million one-neuron experts (He 2024)",
    describe_peer, peer_flops,
    peer_forward,  check_peer};

std::vector<TensorSpec> describe_fastfood(const ModelConfig& model);
double fastfood_flops(const ModelConfig& model, int64_t time);
at::Tensor fastfood_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);
constexpr Part fastfood_ffn{
    .name = "fastfood",
    .summary = "gelu between fast structured transforms of diagonals (Yang et al. 2015)",
    .describe = describe_fastfood,
    .extra_flops = fastfood_flops,
    .forward = fastfood_forward};

constexpr Part none_ffn{.name = no_ffn,
                        .summary = "no second branch in the block",
                        .describe = describe_none,
                        .extra_flops = no_extra_flops,
                        .forward = nullptr,
                        .ternary = true,
                        .sub_norm = true};

}  // namespace rung

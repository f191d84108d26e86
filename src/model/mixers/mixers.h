// The mixers that the table in part.cpp lists.
#pragma once
#include "model/part.h"

namespace rung {

std::vector<TensorSpec> describe_attention(const ModelConfig& model);
double attention_flops(const ModelConfig& model, int64_t time);
at::Tensor attention_forward(std::span<const Weight> weights, const at::Tensor& x,
                             const Pass& pass);

bool forget_tokens(const ModelConfig& model, int64_t window, MixerState& state, int64_t count);
Branched attention_from_stream(std::span<const Weight> weights, const at::Tensor& x,
                               const NormOptions& norm, const Pass& pass);
inline Weight attention_first_map(std::span<const Weight> weights) {
  return weights[0];
}

constexpr Part attention_mixer{
    .name = "attention",
    .summary = "causal softmax attention: MHA, GQA or MQA by kv_heads, RoPE, QK-norm",
    .describe = describe_attention,
    .extra_flops = attention_flops,
    .forward = attention_forward,
    .ternary = true,
    .sub_norm = true,
    .forget = forget_tokens,
    .from_stream = attention_from_stream,
    .first_map = attention_first_map};

void check_mamba2(const ModelConfig& model);
std::vector<TensorSpec> describe_mamba2(const ModelConfig& model);
double mamba2_flops(const ModelConfig& model, int64_t time);
at::Tensor mamba2_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part mamba2_mixer{
    .name = "mamba2",
    .summary = "selective state space with one decay a head (Dao & Gu 2024)",
    .describe = describe_mamba2,
    .extra_flops = mamba2_flops,
    .forward = mamba2_forward,
    .check = check_mamba2,
    .recurrent = true,
    .ternary = true};

void check_mlstm(const ModelConfig& model);
std::vector<TensorSpec> describe_mlstm(const ModelConfig& model);
double mlstm_flops(const ModelConfig& model, int64_t time);
at::Tensor mlstm_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part mlstm_mixer{
    .name = "mlstm",
    .summary = "matrix memory with exponential gates, xLSTM's (Beck et al. 2024)",
    .describe = describe_mlstm,
    .extra_flops = mlstm_flops,
    .forward = mlstm_forward,
    .check = check_mlstm,
    .recurrent = true,
    .ternary = true,
    .largest_head = 128,
    .inner_heads = true};

std::vector<TensorSpec> describe_slstm(const ModelConfig& model);
double slstm_flops(const ModelConfig& model, int64_t time);
at::Tensor slstm_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part slstm_mixer{
    .name = "slstm",
    .summary = "scalar memory with recurrent weights, xLSTM's (Beck et al. 2024)",
    .describe = describe_slstm,
    .extra_flops = slstm_flops,
    .forward = slstm_forward,
    .recurrent = true,
    .head_multiple = 1};

void check_mlstm_large(const ModelConfig& model);
std::vector<TensorSpec> describe_mlstm_large(const ModelConfig& model);
double mlstm_large_flops(const ModelConfig& model, int64_t time);
at::Tensor mlstm_large_forward(std::span<const Weight> weights, const at::Tensor& x,
                               const Pass& pass);

constexpr Part mlstm_large_mixer{
    .name = "mlstm-large",
    .summary = "mLSTM as in xLSTM 7B: dense maps, capped gates (Beck et al. 2025)",
    .describe = describe_mlstm_large,
    .extra_flops = mlstm_large_flops,
    .forward = mlstm_large_forward,
    .check = check_mlstm_large,
    .recurrent = true,
    .ternary = true,
    .largest_head = 128,
    .head_multiple = 16};

std::vector<TensorSpec> describe_mlgru(const ModelConfig& model);
std::vector<TensorSpec> describe_mlgru_bounds(const ModelConfig& model);
double mlgru_flops(const ModelConfig& model, int64_t time);
at::Tensor mlgru_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part mlgru_mixer{
    .name = "mlgru",
    .summary = "elementwise gated recurrence of MatMul-free LM (Zhu et al. 2024)",
    .describe = describe_mlgru,
    .extra_flops = mlgru_flops,
    .forward = mlgru_forward,
    .recurrent = true,
    .ternary = true,
    .describe_shared = describe_mlgru_bounds};

void check_sas(const ModelConfig& model);
template <bool values, bool projection>
std::vector<TensorSpec> describe_sas(const ModelConfig& model);
template <bool values, bool projection>
at::Tensor sas_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

template <bool values, bool projection>
constexpr Part sas_part(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .describe = describe_sas<values, projection>,
          .extra_flops = attention_flops,
          .forward = sas_forward<values, projection>,
          .check = check_sas,
          .forget = forget_tokens,
          .skip = false};
}
constexpr Part sas_mixer = sas_part<false, false>(
    "sas", "shaped attention without values, output map and skip (He & Hofmann 2024)");
constexpr Part sas_v_mixer =
    sas_part<true, false>("sas-v", "sas with values learned around the identity: its first layer");
constexpr Part sas_vp_mixer =
    sas_part<true, true>("sas-vp", "sas with values and output map learned around the identity");

}  // namespace rung

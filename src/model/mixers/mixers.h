// The mixers that the table in part.cpp lists.
#pragma once
#include "model/part.h"

namespace rung {

std::vector<TensorSpec> describe_attention(const ModelConfig& model);
double attention_flops(const ModelConfig& model, int64_t time);
at::Tensor attention_forward(std::span<const Weight> weights, const at::Tensor& x,
                             const Pass& pass);

bool forget_tokens(const ModelConfig& model, int64_t window, MixerState& state, int64_t count);
std::pair<at::Tensor, at::Tensor> attention_from_stream(std::span<const Weight> weights,
                                                        const at::Tensor& x,
                                                        const NormOptions& norm, const Pass& pass);

constexpr Part attention_mixer{
    .name = "attention",
    .summary = "causal softmax attention: MHA, GQA or MQA by kv_heads, RoPE, QK-norm",
    .describe = describe_attention,
    .extra_flops = attention_flops,
    .forward = attention_forward,
    .ternary = true,
    .sub_norm = true,
    .forget = forget_tokens,
    .from_stream = attention_from_stream};

void check_mamba2(const ModelConfig& model);
std::vector<TensorSpec> describe_mamba2(const ModelConfig& model);
double mamba2_flops(const ModelConfig& model, int64_t time);
at::Tensor mamba2_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part mamba2_mixer{"mamba2",
                            "selective state space with one decay a head (Dao & Gu 2024)",
                            describe_mamba2,
                            mamba2_flops,
                            mamba2_forward,
                            check_mamba2,
                            true,
                            true,
                            true};

void check_mlstm(const ModelConfig& model);
std::vector<TensorSpec> describe_mlstm(const ModelConfig& model);
double mlstm_flops(const ModelConfig& model, int64_t time);
at::Tensor mlstm_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part mlstm_mixer{"mlstm",
                           "matrix memory with exponential gates, xLSTM's (Beck et al. 2024)",
                           describe_mlstm,
                           mlstm_flops,
                           mlstm_forward,
                           check_mlstm,
                           true,
                           true,
                           true};

std::vector<TensorSpec> describe_slstm(const ModelConfig& model);
double slstm_flops(const ModelConfig& model, int64_t time);
at::Tensor slstm_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass);

constexpr Part slstm_mixer{
    "slstm",        "scalar memory with recurrent weights, xLSTM's (Beck et al. 2024)",
    describe_slstm, slstm_flops,
    slstm_forward,  nullptr,
    true,           true};

void check_mlstm_large(const ModelConfig& model);
std::vector<TensorSpec> describe_mlstm_large(const ModelConfig& model);
double mlstm_large_flops(const ModelConfig& model, int64_t time);
at::Tensor mlstm_large_forward(std::span<const Weight> weights, const at::Tensor& x,
                               const Pass& pass);

constexpr Part mlstm_large_mixer{
    "mlstm-large",
    "mLSTM as in xLSTM 7B: dense maps, capped gates (Beck et al. 2025)",
    describe_mlstm_large,
    mlstm_large_flops,
    mlstm_large_forward,
    check_mlstm_large,
    true,
    true,
    true};

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

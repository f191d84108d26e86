// mLSTM of H heads as in xLSTM 7B (Beck et al. 2025, arXiv 2503.13427; the authors' xlstm_large):
//   q, k, v, o = maps of x                          sizes width / 2, width / 2, width, width
//   input, forget = 15 tanh((gates x + bias) / 15)  a number a head
//   out = out(sigmoid(o) LayerNorm_H(cell(q, k, v, input, forget)))
// Its block goes on with a SwiGLU ffn of 8/3 times the width.
#include <cmath>

#include "core/error.h"
#include "model/channels.h"
#include "model/mixers/mixers.h"
#include "ops/gate_map.h"
#include "ops/gated_mlstm.h"
#include "ops/linear.h"

namespace rung {
namespace {

using at::Tensor;

constexpr double cap = 15.0;

// In the order of describe_mlstm_large.
enum Index : size_t { to_q, to_k, to_v, to_o, gates, gate_bias, out, gain };

// The authors' gates: weights 0, input biases -10, forget biases from 3 to 6 by head.
double start_gate_bias(const TensorSpec& spec, int64_t index, Random&) {
  const int64_t heads = spec.size() / 2, head = index - heads;
  if (head < 0) return -10.0;
  return heads == 1 ? 3.0 : 3.0 + 3.0 * static_cast<double>(head) / static_cast<double>(heads - 1);
}

}  // namespace

void check_mlstm_large(const ModelConfig& m) {
  if (head_dim_of(m) % 2 != 0)
    fail_usage(
        "[mlstm-large] Keys have half of a head's units: model.head_dim must be even. Received {}.",
        head_dim_of(m));
}

std::vector<TensorSpec> describe_mlstm_large(const ModelConfig& m) {
  const int64_t width = m.width, heads = heads_of(m);
  std::vector<TensorSpec> tensors{hidden_matrix("q", width / 2, width),
                                  hidden_matrix("k", width / 2, width),
                                  hidden_matrix("v", width, width),
                                  hidden_matrix("o", width, width),
                                  hidden_matrix("gates", 2 * heads, width),
                                  per_channel("gate_bias", {2 * heads}, 1, start_gate_bias, false),
                                  hidden_matrix("out", width, width)};
  tensors[gates].role = Role::router;
  tensors[gates].init_std_factor = 0.0;
  if (m.norm_gain)
    tensors.push_back(
        {.name = "norm", .role = Role::gain, .shape = {width}, .fan_in = 1, .fan_out = width});
  return tensors;
}

// As mlstm's, with keys of half a head.
double mlstm_large_flops(const ModelConfig& m, int64_t time) {
  return 5.0 * static_cast<double>(time) * static_cast<double>(m.width / 2 * (head_dim_of(m) + 1));
}

Tensor mlstm_large_forward(std::span<const Weight> weights, const Tensor& x, const Pass& pass) {
  const ModelConfig& m = pass.model;
  const Weight norm = m.norm_gain ? weights[gain] : Weight{};
  const GateMap gate{weights[gates], weights[gate_bias], cap};
  // The factor on q k is attention's, which the parametrisation gives for heads of head_dim.
  const GatedMlstm cell{.heads = heads_of(m),
                        .keys = head_dim_of(m) / 2,
                        .factor = pass.block.attention_logit * std::sqrt(2.0),
                        .norm = {.epsilon = 1e-6, .center = true},
                        .chunk = m.ssm_chunk};
  const std::optional<Weight> all = stacked(weights.subspan(to_q, 4));
  if (all && !pass.state) {
    const auto [maps, numbers] = linear_and_gates(x, *all, gate);
    return linear(gated_mlstm(maps, numbers, norm, cell), weights[out]);
  }
  auto maps =
      linears(x, {weights[to_q], weights[to_k], weights[to_v], weights[to_o], weights[gates]});
  const Tensor numbers = capped_gates(maps[gates], gate);
  MlstmState state;
  if (pass.state && !pass.state->empty()) state = {(*pass.state)[0], (*pass.state)[1]};
  const Tensor y = gated_mlstm(maps, numbers, norm, cell, state);
  if (pass.state) *pass.state = {state.memory, state.m};
  return linear(y, weights[out]);
}

}  // namespace rung

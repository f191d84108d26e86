// mLSTM (Beck et al. 2024, arXiv 2405.04517), the layer of the authors' first blocks, with its
// up-projection within: inner = expand width, H heads of size d = inner / H,
//   x, z = up in                                    u = silu(causal depthwise convolution of x)
//   q, k = block-diagonal maps of u, v of x         blocks of 4 x 4
//   input, forget = gates [q, k, v] + bias          a number a head
//   out = down((LayerNorm_H(cell(q, k, v, input, forget)) + skip u) silu(z))
// docs/parts/mixers.md derives the roles.
#include "ops/mlstm.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/split_with_sizes.h>

#include <cmath>

#include "core/error.h"
#include "model/channels.h"
#include "model/mixers/mixers.h"
#include "ops/block_linear.h"
#include "ops/conv.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/wide.h"

namespace rung {
namespace {

using at::Tensor;

constexpr int64_t block_size = 4;

// In the order of describe_mlstm.
enum Index : size_t { up, conv, conv_bias, to_q, to_k, to_v, gates, gate_bias, skip, down, gain };

int64_t inner_of(const ModelConfig& m) {
  return m.ssm_expand * m.width;
}

// The authors' gates: weights 0, input biases N(0, 0.1^2), forget biases from 3 to 6 by head.
double start_gate_bias(const TensorSpec& spec, int64_t index, Random& random) {
  const int64_t heads = spec.size() / 2, head = index - heads;
  if (head < 0) return 0.1 * random.normal();
  return heads == 1 ? 3.0 : 3.0 + 3.0 * static_cast<double>(head) / static_cast<double>(heads - 1);
}

}  // namespace

void check_mlstm(const ModelConfig& m) {
  if (inner_of(m) % block_size != 0)
    fail_usage("[mlstm] model.ssm_expand x model.width must be a multiple of {}. Received {} x {}.",
               block_size, m.ssm_expand, m.width);
}

std::vector<TensorSpec> describe_mlstm(const ModelConfig& m) {
  const int64_t inner = inner_of(m), heads = heads_of(m);
  const auto small_map = [&](const char* name) {
    return per_channel(name, {inner, block_size}, block_size, start_map, true);
  };
  std::vector<TensorSpec> tensors{
      hidden_matrix("up", 2 * inner, m.width),
      per_channel("conv", {inner, m.ssm_conv}, m.ssm_conv, start_filter, true),
      per_channel("conv_bias", {inner}, m.ssm_conv, start_filter, false),
      small_map("q"),
      small_map("k"),
      small_map("v"),
      hidden_matrix("gates", 2 * heads, 3 * inner),
      per_channel("gate_bias", {2 * heads}, 1, start_gate_bias, false),
      per_channel("skip", {inner}, 1, start_one, false),
      hidden_matrix("down", m.width, inner)};
  tensors[gates].role = Role::router;
  tensors[gates].init_std_factor = 0.0;
  if (m.norm_gain)
    tensors.push_back(
        {.name = "norm", .role = Role::gain, .shape = {inner}, .fan_in = 1, .fan_out = inner});
  return tensors;
}

// The recurrence, per element of the memory and its normaliser: decay, key times value and their
// sum (3), the product with the query (2). Maps and filters are among the tensors of describe.
double mlstm_flops(const ModelConfig& m, int64_t time) {
  const int64_t size = inner_of(m) / heads_of(m);
  return 5.0 * static_cast<double>(time) * static_cast<double>(inner_of(m) * (size + 1));
}

Tensor mlstm_forward(std::span<const Weight> weights, const Tensor& x, const Pass& pass) {
  const ModelConfig& m = pass.model;
  const int64_t members = x.size(0), inner = inner_of(m), heads = heads_of(m), size = inner / heads;
  const bool going_on = pass.state && !pass.state->empty();
  const auto halves = at::split_with_sizes(linear(x, weights[up]), {inner, inner}, -1);
  const Conv u = causal_conv_silu(halves[0], weights[conv], weights[conv_bias],
                                  going_on ? (*pass.state)[0] : Tensor());
  const auto map = [&](const Tensor& from, Index index) {
    return block_linear(from, multiplied(weights[index]), inner / block_size);
  };
  const auto per_channel = [&](Index index, int64_t count) {
    return multiplied(weights[index]).view({members, 1, 1, count});
  };
  const auto by_head = [&](const Tensor& t) {
    return t.view({members, x.size(1), x.size(2), heads, size});
  };
  const Tensor q = map(u.y, to_q), k = map(u.y, to_k), v = map(halves[0], to_v);
  const Tensor gate = wide(linear(at::cat({q, k, v}, -1), weights[gates])) +
                      wide(per_channel(gate_bias, 2 * heads));
  const auto input_forget = at::split_with_sizes(gate, {heads, heads}, -1);
  // The factor on q k is attention's, which the parametrisation gives for heads of head_dim.
  const double scale = pass.block.attention_logit *
                       std::sqrt(static_cast<double>(head_dim_of(m)) / static_cast<double>(size));
  MlstmInput cell{by_head(q) * scale, by_head(k), by_head(v), input_forget[0],
                  input_forget[1],    {},         {}};
  if (going_on) {
    cell.memory = (*pass.state)[1];
    cell.m = (*pass.state)[2];
  }
  const MlstmOutput out = mlstm(cell, m.ssm_chunk);
  if (pass.state) *pass.state = {u.past, out.memory, out.m};
  const Tensor normed = group_norm(out.h.flatten(-2), heads, m.norm_gain ? weights[gain] : Weight{},
                                   {.epsilon = 1e-5, .center = true});
  return linear((normed + u.y * per_channel(skip, inner)) * at::silu(halves[1]), weights[down]);
}

}  // namespace rung

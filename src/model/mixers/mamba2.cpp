// Mamba-2 (Dao & Gu 2024, arXiv 2405.21060), the block of the authors' code: with inner = expand
// width, H heads of size p = ssm_head_dim, G groups of states of size N,
//   z, x, B, C, dt = in x                                sizes inner, inner, G N, G N, H
//   x, B, C = silu(causal depthwise convolution + bias)
//   y = SSD(x, softplus(dt + dt_bias), -exp(A_log), B, C, D)          with D x added
//   out = out(RMSNorm_G(y silu(z)))                       normalised in G groups of inner / G
// One input matrix is kept in three, which have fan-outs of different kinds: z and x, dt (one a
// head) grow with the width; B and C do not. docs/parts/mixers.md derives the roles.
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/split_with_sizes.h>

#include <cmath>

#include "core/error.h"
#include "model/channels.h"
#include "model/mixers/mixers.h"
#include "ops/conv.h"
#include "ops/gated_norm.h"
#include "ops/linear.h"
#include "ops/ssd.h"
#include "ops/wide.h"

namespace rung {
namespace {

using at::Tensor;

struct Sizes {
  int64_t inner, heads, shared, mixed;  // shared: G N; mixed: channels of the convolution
};
Sizes sizes_of(const ModelConfig& m) {
  const int64_t inner = m.ssm_expand * m.width, shared = m.ssm_groups * m.ssm_state;
  return {inner, inner / m.ssm_head_dim, shared, inner + 2 * shared};
}

// In the order of describe_mamba2.
enum Index : size_t { in_zx, in_bc, in_dt, conv, conv_bias, a_log, dt_bias, skip, out, gain };

// The authors' initialisation. A uniform in [1, 16]; dt log-uniform in [0.001, 0.1], at least 1e-4,
// through the inverse of softplus; filters and their bias as torch's Conv1d.
double draw_a_log(const TensorSpec&, int64_t, Random& random) {
  return std::log(1.0 + 15.0 * random.uniform());
}
double draw_dt_bias(const TensorSpec&, int64_t, Random& random) {
  const double low = std::log(0.001), high = std::log(0.1);
  const double dt = std::max(1e-4, std::exp(low + (high - low) * random.uniform()));
  return dt + std::log(-std::expm1(-dt));
}

// z, x, B with C, and dt. z and x have rows of their own where the matrix may be cut, so that their
// gradients need no joining.
std::vector<Tensor> input_maps(const Tensor& x, std::span<const Weight> weights, int64_t inner) {
  const Weight& zx = weights[in_zx];
  if (!zx.is_plain()) {
    const auto parts = at::split_with_sizes(linear(x, zx), {inner, inner}, -1);
    return {parts[0], parts[1], linear(x, weights[in_bc]), linear(x, weights[in_dt])};
  }
  return linears(
      x, {cut_rows(zx, 0, inner), cut_rows(zx, inner, inner), weights[in_bc], weights[in_dt]});
}

}  // namespace

void check_mamba2(const ModelConfig& m) {
  const int64_t inner = m.ssm_expand * m.width;
  if (inner % m.ssm_head_dim != 0)
    fail_usage(
        "[mamba2] {} inner units (model.ssm_expand x width) are not a multiple of "
        "model.ssm_head_dim. Received {}.",
        inner, m.ssm_head_dim);
  if (inner / m.ssm_head_dim % m.ssm_groups != 0)
    fail_usage("[mamba2] model.ssm_groups must divide the {} heads. Received {}.",
               inner / m.ssm_head_dim, m.ssm_groups);
}

std::vector<TensorSpec> describe_mamba2(const ModelConfig& m) {
  const auto [inner, heads, shared, mixed] = sizes_of(m);
  std::vector<TensorSpec> tensors{
      hidden_matrix("in_zx", 2 * inner, m.width),
      hidden_matrix("in_bc", 2 * shared, m.width),
      hidden_matrix("in_dt", heads, m.width),
      per_channel("conv", {mixed, m.ssm_conv}, m.ssm_conv, start_filter, true),
      per_channel("conv_bias", {mixed}, m.ssm_conv, start_filter, true),
      per_channel("A_log", {heads}, 1, draw_a_log, false),
      per_channel("dt_bias", {heads}, 1, draw_dt_bias, false),
      per_channel("D", {heads}, 1, start_one, false),
      hidden_matrix("out", m.width, inner)};
  tensors[in_bc].role = Role::router;
  if (m.norm_gain)
    tensors.push_back(
        {.name = "norm", .role = Role::gain, .shape = {inner}, .fan_in = 1, .fan_out = inner});
  return tensors;
}

// The recurrence, per element of the state: dt x b, the decay and their sum (3), the product with c
// (2). The filters are among the matrices of describe.
double mamba2_flops(const ModelConfig& m, int64_t time) {
  return 5.0 * static_cast<double>(time) * static_cast<double>(m.ssm_expand * m.width) *
         static_cast<double>(m.ssm_state);
}

Tensor mamba2_forward(std::span<const Weight> weights, const Tensor& x, const Pass& pass) {
  const ModelConfig& m = pass.model;
  const auto [inner, heads, shared, mixed] = sizes_of(m);
  const int64_t members = x.size(0), batch = x.size(1), time = x.size(2);
  const bool going_on = pass.state && !pass.state->empty();
  const auto maps = input_maps(x, weights, inner);  // z, x, B with C, dt
  const Tensor raw = at::cat({maps[1], maps[2]}, -1);
  const Conv filtered = causal_conv_silu(raw, weights[conv], weights[conv_bias],
                                         going_on ? (*pass.state)[0] : Tensor());
  // Splits, not narrow: one pass for the gradients of all parts.
  const auto xbc = at::split_with_sizes(filtered.y, {inner, shared, shared}, -1);
  const auto part = [&](size_t index, int64_t count, int64_t size) {
    return xbc[index].reshape({members, batch, time, count, size});
  };
  const auto per_head = [&](Index index) {
    return multiplied(weights[index]).view({members, 1, 1, heads});
  };
  SsdInput input;
  input.x = part(0, heads, m.ssm_head_dim);
  input.dt = at::softplus(wide(maps[3]) + wide(per_head(dt_bias)));
  input.a = -at::exp(wide(multiplied(weights[a_log])));
  input.b = part(1, m.ssm_groups, m.ssm_state);
  input.c = part(2, m.ssm_groups, m.ssm_state);
  input.skip = per_head(skip).view({members, heads});
  if (going_on) input.state = (*pass.state)[1];
  const auto [mixture, state] = ssd(input, m.ssm_chunk);
  if (pass.state) *pass.state = {filtered.past, state};
  const Tensor normed =
      gated_norm(mixture.flatten(-2), maps[0], m.ssm_groups, m.norm_gain ? weights[gain] : Weight{},
                 {.epsilon = 1e-5}, GatePlace::before);
  return linear(normed, weights[out]);
}

}  // namespace rung

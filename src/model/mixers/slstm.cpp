// sLSTM (Beck et al. 2024, arXiv 2405.04517), the layer of the authors' code: H heads of d units,
//   u = silu(causal depthwise convolution of x)
//   slots i, f = maps of u, z, o = maps of x        block-diagonal, d x d a head
//   out = LayerNorm_H(cell(slots + bias))           its recurrent weights block-diagonal too
// There is no output map: the authors' block goes on with a GeGLU ffn of 1.3 times the width.
#include "ops/slstm.h"

#include <ATen/ops/cat.h>

#include <cmath>

#include "model/channels.h"
#include "model/mixers/mixers.h"
#include "ops/block_linear.h"
#include "ops/conv.h"
#include "ops/norm.h"

namespace rung {
namespace {

using at::Tensor;

// In the order of describe_slstm.
enum Index : size_t { conv, conv_bias, in_if, in_zo, recurrent, bias, gain };

// The authors' forget biases fall from 5 to -7 over a head's units, by a power that grows with the
// block: 5 - 12 (j / (d - 1))^(0.3 + 1.3 layer / (depth - 1)). The other slots start at 0. Rows lie
// by head, slot and unit.
Start start_bias(int64_t size, int64_t depth) {
  return [size, depth](const TensorSpec& spec, int64_t index, Random&) {
    if (index / size % 4 != 1) return 0.0;
    const double block = depth > 1 ? spec.layer / static_cast<double>(depth - 1) : 0.0;
    const double unit =
        size > 1 ? static_cast<double>(index % size) / static_cast<double>(size - 1) : 0.0;
    return 5.0 - 12.0 * std::pow(unit, 0.3 + 1.3 * block);
  };
}

}  // namespace

std::vector<TensorSpec> describe_slstm(const ModelConfig& m) {
  const int64_t width = m.width, size = head_dim_of(m);
  std::vector<TensorSpec> tensors{
      per_channel("conv", {width, m.ssm_conv}, m.ssm_conv, start_filter, true),
      per_channel("conv_bias", {width}, m.ssm_conv, start_filter, false),
      hidden_matrix("in_if", 2 * width, size),
      hidden_matrix("in_zo", 2 * width, size),
      hidden_matrix("recurrent", 4 * width, size),
      per_channel("bias", {4 * width}, 1, start_bias(size, m.depth), false)};
  for (const Index map : {in_if, in_zo, recurrent}) tensors[map].fan_out = 4 * size;
  tensors[recurrent].init_std_factor = 0.0;
  tensors[recurrent].decays = false;
  if (m.norm_gain)
    tensors.push_back(
        {.name = "norm", .role = Role::gain, .shape = {width}, .fan_in = 1, .fan_out = width});
  return tensors;
}

// The recurrent maps are among the tensors of describe; the rest is elementwise.
double slstm_flops(const ModelConfig&, int64_t) {
  return 0.0;
}

Tensor slstm_forward(std::span<const Weight> weights, const Tensor& x, const Pass& pass) {
  const ModelConfig& m = pass.model;
  const int64_t members = x.size(0), heads = heads_of(m), size = head_dim_of(m);
  const bool going_on = pass.state && !pass.state->empty();
  const Conv u = causal_conv_silu(x, weights[conv], weights[conv_bias],
                                  going_on ? (*pass.state)[0] : Tensor());
  const auto slots = [&](const Tensor& from, Index index) {
    return block_linear(from, multiplied(weights[index]), heads)
        .view({members, x.size(1), x.size(2), heads, 2, size});
  };
  const Tensor raw = at::cat({slots(u.y, in_if), slots(x, in_zo)}, 4) +
                     multiplied(weights[bias]).view({members, 1, 1, heads, 4, size});
  SlstmState first;
  if (going_on) first = {(*pass.state)[1], (*pass.state)[2], (*pass.state)[3], (*pass.state)[4]};
  const auto [y, last] = slstm(raw, multiplied(weights[recurrent]), first);
  if (pass.state) *pass.state = {u.past, last.y, last.c, last.n, last.m};
  return group_norm(y.flatten(-2), heads, m.norm_gain ? weights[gain] : Weight{},
                    {.epsilon = 1e-5, .center = true});
}

}  // namespace rung

// MLGRU of MatMul-free LM (Zhu et al. 2024, arXiv 2406.02528), as the authors' code has it, where
// the output gate is normalised and h gates itself (the paper writes g sigmoid(h)):
//   f, c, g = sigmoid(W_f x), silu(W_i x), W_g x
//   f = l + (1 - l) f,  l = lower bound of the layer, a channel:
//       cumulative softmax over layers of Gamma [depth, width], less the first layer's share
//   h_t = f_t h_{t-1} + (1 - f_t) c_t
//   out = W_o (RMSNorm(g) h sigmoid(h))
// The maps are ternary with model.linear = bitnet, as in the paper, and dense otherwise.
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/split_with_sizes.h>

#include "model/channels.h"
#include "model/mixers/mixers.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/scan.h"
#include "ops/wide.h"

namespace rung {
namespace {

using at::Tensor;

// In the order of describe_mlgru.
enum Index : size_t { fcg, out, gain };

double start_zero(const TensorSpec&, int64_t, Random&) {
  return 0.0;
}

// [P, 1, 1, D]: 0 in the first layer, rising to less than 1.
Tensor lower_bound(const Weight& gamma, int64_t depth, int layer) {
  const int64_t members = gamma.value.size(0), width = gamma.value.size(1) / depth;
  const Tensor share = at::softmax(wide(multiplied(gamma)).view({members, depth, width}), 1);
  return share.narrow(1, 1, layer).sum(1).view({members, 1, 1, width});
}

}  // namespace

std::vector<TensorSpec> describe_mlgru(const ModelConfig& m) {
  std::vector<TensorSpec> tensors{hidden_matrix("fcg", 3 * m.width, m.width),
                                  hidden_matrix("out", m.width, m.width)};
  tensors[fcg].parts = {m.width, m.width, m.width};
  if (m.norm_gain) tensors.push_back(vector_of(Role::gain, "norm", m.width));
  return tensors;
}

std::vector<TensorSpec> describe_mlgru_bounds(const ModelConfig& m) {
  return {per_channel("bounds", {m.depth * m.width}, 1, start_zero, false)};
}

// A product with the state a channel and step; the rest is elementwise.
double mlgru_flops(const ModelConfig& m, int64_t time) {
  return 2.0 * static_cast<double>(time * m.width);
}

Tensor mlgru_forward(std::span<const Weight> weights, const Tensor& x, const Pass& pass) {
  const ModelConfig& m = pass.model;
  const auto parts = at::split_with_sizes(linear(x, weights[fcg]), {m.width, m.width, m.width}, -1);
  Tensor f = at::sigmoid(wide(parts[0]));
  if (pass.layer > 0) {
    const Tensor bound = lower_bound(pass.shared[0], m.depth, pass.layer);
    f = bound + (1.0 - bound) * f;
  }
  const bool going_on = pass.state && !pass.state->empty();
  const Tensor h = gated_scan(f, at::silu(parts[1]), going_on ? (*pass.state)[0] : Tensor());
  if (pass.state) *pass.state = {h.select(2, h.size(2) - 1)};
  const Tensor gate = norm(parts[2].contiguous(), m.norm_gain ? weights[gain] : Weight{},
                           {.epsilon = m.norm_epsilon});
  return linear(gate * h * at::sigmoid(h), weights[out]);
}

}  // namespace rung

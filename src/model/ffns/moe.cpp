// Mixture of experts, token choice without dropping: a router picks k of E SwiGLU ffns a token.
//   logits = R x;  y = sum over the k largest of gate_e ffn_e(x), and shared(x) where there is one
//   gates "chosen": softmax over the chosen logits (Mixtral, arXiv 2401.04088)
//   gates "all":    softmax over all, of which the chosen are kept (Switch, arXiv 2101.03961)
// Training adds for each layer, over the tokens that are computed at once,
//   balance: E sum_e f_e P_e, f the shares of choices, P the mean softmax; 1 when even (Switch)
//   z:       mean of logsumexp(logits)^2                             (ST-MoE, arXiv 2202.08906)
// docs/parts/ffns.md derives the roles.
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>

#include <cmath>

#include "core/error.h"
#include "model/ffns/ffns.h"
#include "ops/grouped.h"
#include "ops/linear.h"
#include "ops/wide.h"

namespace rung {
namespace {

using at::Tensor;

// In the order of describe_moe: the router, each expert's gate_up, each expert's down, the shared
// expert's.
constexpr size_t router = 0, first_up = 1;

int64_t expert_width_of(const ModelConfig& m) {
  return m.moe_ratio > 0.0 ? std::llround(m.moe_ratio * static_cast<double>(m.width))
                           : ffn_width_of(m);
}

struct Choice {
  Tensor logits;  // [P, rows, E], fp32 or fp64
  Tensor expert;  // [P, rows, k] int64
  Tensor gate;    // [P, rows, k]
};

Choice choose(const Tensor& logits, const ModelConfig& m) {
  const auto [top, expert] = at::topk(logits.detach(), m.moe_top_k, -1);
  if (m.moe_gates == "all") return {logits, expert, at::softmax(logits, -1).gather(-1, expert)};
  return {logits, expert, at::softmax(logits.gather(-1, expert), -1)};
}

// y, with the auxiliary losses in its backward pass; tells the tally.
Tensor with_auxiliary(const Tensor& y, const Choice& choice, const Groups& groups,
                      const Pass& pass) {
  if (pass.loss_factor == 0.0 && !pass.tally) return y;
  const ModelConfig& m = pass.model;
  const int64_t rows = choice.logits.size(1);
  const Tensor load = group_sizes(groups, choice.logits);
  const Tensor mean = at::softmax(choice.logits, -1).mean(1);
  const double scale = static_cast<double>(m.moe_experts) / static_cast<double>(rows * m.moe_top_k);
  const Tensor balance = (load * mean).sum(-1) * scale;
  const Tensor z = at::logsumexp(choice.logits, {-1}).square().mean(-1);
  if (pass.tally) {
    const double tokens = static_cast<double>(rows);
    pass.tally->add(pass.layer, "experts", load, rows);
    pass.tally->add(pass.layer, "balance_loss", (balance * tokens).unsqueeze(-1), rows);
    pass.tally->add(pass.layer, "z_loss", (z * tokens).unsqueeze(-1), rows);
  }
  return pass.loss_factor == 0.0
             ? y
             : with_loss(y, balance * m.moe_balance + z * m.moe_z, pass.loss_factor);
}

}  // namespace

void check_moe(const ModelConfig& m) {
  if (expert_width_of(m) < 1)
    fail_usage("[moe] An expert has no hidden unit at width {}. Received model.moe_ratio = {}.",
               m.width, m.moe_ratio);
  if (m.moe_top_k > m.moe_experts)
    fail_usage("[moe] model.moe_top_k cannot exceed the {} experts. Received {}.", m.moe_experts,
               m.moe_top_k);
}

std::vector<TensorSpec> describe_moe(const ModelConfig& m) {
  const int64_t inner = expert_width_of(m);
  const double active = static_cast<double>(m.moe_top_k) / static_cast<double>(m.moe_experts);
  std::vector<TensorSpec> tensors{hidden_matrix("router", m.moe_experts, m.width)};
  tensors[router].role = Role::router;
  const auto experts = [&](const char* name, int64_t out, int64_t in) {
    for (int64_t e = 0; e < m.moe_experts; ++e) {
      tensors.push_back(hidden_matrix(fmt::format("experts.{}.{}", e, name), out, in));
      tensors.back().active = active;
    }
  };
  experts("gate_up", 2 * inner, m.width);
  experts("down", m.width, inner);
  if (m.moe_shared > 0) {
    tensors.push_back(hidden_matrix("shared.gate_up", 2 * m.moe_shared * inner, m.width));
    tensors.push_back(hidden_matrix("shared.down", m.width, m.moe_shared * inner));
  }
  return tensors;
}

Tensor moe_forward(std::span<const Weight> weights, const Tensor& x, const Pass& pass) {
  const ModelConfig& m = pass.model;
  const auto count = static_cast<size_t>(m.moe_experts);
  const size_t first_down = first_up + count, shared = first_down + count;
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2);
  const FfnFactor factor = ffn_factor_of(pass);
  const ActivationOptions options = activation_options(pass);
  const Tensor scores = linear(x, weights[router]).view({members, rows, m.moe_experts});
  const Choice choice = choose(wide(scores), m);
  const Groups groups = sort_by_group(choice.expert, m.moe_experts);
  const Tensor input = to_groups(x.reshape({members, rows, x.size(3)}), groups);
  const Tensor inner = activation(
      Activation::swiglu, grouped_linear(input, weights.subspan(first_up, count), groups), options);
  Tensor y = mixed_groups(grouped_linear(inner, weights.subspan(first_down, count), groups), groups,
                          choice.gate)
                 .view(x.sizes());
  if (factor.mixture != 1.0) y = y * factor.mixture;
  if (m.moe_shared > 0)
    y = (y + ffn_forward<Activation::swiglu>(weights.subspan(shared), x, pass)) * factor.sum;
  return with_auxiliary(y, choice, groups, pass);
}

}  // namespace rung

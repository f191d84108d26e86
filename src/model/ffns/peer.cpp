// Parameter-efficient expert retrieval (He 2024, arXiv 2407.04153): N = n^2 experts of one neuron
// each, u_e and v_e of the width; for each of h heads
//   q1, q2 = LayerNorm(Q_h x), halves of size d
//   the k largest of K1 q1 d^-1/2 and of K2 q2 d^-1/2, of n each; the k largest of their k^2 sums,
//   s y += sum over them of softmax(s)_j gelu(u_e . x) v_e
// The best k sums are those of all N. Sub-keys and experts are shared by the heads. The paper
// normalises queries over the batch, which would let positions see each other; here each by itself.
// docs/parts/ffns.md derives the roles.
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "core/error.h"
#include "model/channels.h"
#include "model/ffns/ffns.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/rows.h"
#include "ops/top_sums.h"
#include "ops/wide.h"

namespace rung {
namespace {

using at::Tensor;

// In the order of describe_peer; the shared neurons' two matrices come last.
enum Index : size_t { query, keys, up, down, shared };

int64_t side_of(const ModelConfig& m) {
  return std::llround(std::sqrt(static_cast<double>(m.peer_experts)));
}

double start_unit(const TensorSpec&, int64_t, Random& random) {
  return random.normal();
}

struct Choice {
  Tensor expert, gate;  // [P, rows, heads * k]
};

// q [P, rows * heads, key].
Choice choose(const Tensor& q, const Tensor& sub_keys, const ModelConfig& m, int64_t rows) {
  const int64_t n = side_of(m), k = m.peer_top_k, half = m.peer_key / 2;
  const double scale = 1.0 / std::sqrt(static_cast<double>(half));
  const auto scores = [&](int64_t side) {
    // In bf16 many scores would tie.
    return at::matmul(wide(q.narrow(-1, side * half, half)),
                      wide(sub_keys.narrow(1, side * n, n)).mT()) *
           scale;
  };
  const Tensor score1 = scores(0), score2 = scores(1);
  const TopSums top = top_sums(score1, score2, k);
  const Tensor expert = top.first * n + top.second;
  const Tensor score = gathered(score1, top.first) + gathered(score2, top.second);
  const std::vector<int64_t> shape{q.size(0), rows, m.peer_heads * k};
  return {expert.view(shape), at::softmax(score, -1).view(shape)};
}

}  // namespace

void check_peer(const ModelConfig& m) {
  const int64_t n = side_of(m);
  if (n * n != m.peer_experts)
    fail_usage("[peer] model.peer_experts must be a square, such as {}. Received {}.",
               std::max<int64_t>(1, n) * std::max<int64_t>(1, n), m.peer_experts);
  if (m.peer_top_k > n)
    fail_usage("[peer] model.peer_top_k cannot exceed the {} sub-keys of a side. Received {}.", n,
               m.peer_top_k);
  if (m.peer_key % 2 != 0)
    fail_usage("[peer] model.peer_key has two halves: it must be even. Received {}.", m.peer_key);
}

std::vector<TensorSpec> describe_peer(const ModelConfig& m) {
  const int64_t n = side_of(m), picks = m.peer_heads * m.peer_top_k;
  const double active = static_cast<double>(picks) / static_cast<double>(m.peer_experts);
  std::vector<TensorSpec> tensors{
      hidden_matrix("query", m.peer_heads * m.peer_key, m.width),
      per_channel("keys", {2 * n, m.peer_key / 2}, m.peer_key / 2, start_unit, true),
      hidden_matrix("up", m.peer_experts, m.width),
      per_channel("down", {m.peer_experts, m.width}, 1, start_unit, true)};
  if (!m.peer_norm) tensors[query].role = Role::router;
  tensors[up].role = Role::router;
  tensors[up].fan_out = picks;
  tensors[up].active = tensors[down].active = active;
  if (m.peer_shared > 0) {
    tensors.push_back(hidden_matrix("shared.up", m.peer_shared, m.width));
    tensors.push_back(hidden_matrix("shared.down", m.width, m.peer_shared));
  }
  return tensors;
}

// Every head multiplies by the sub-keys; describe has them once.
double peer_flops(const ModelConfig& m, int64_t time) {
  return 2.0 * static_cast<double>(time) * static_cast<double>(m.peer_heads - 1) *
         static_cast<double>(side_of(m) * m.peer_key);
}

Tensor peer_forward(std::span<const Weight> weights, const Tensor& x, const Pass& pass) {
  const ModelConfig& m = pass.model;
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2);
  const FfnFactor factor = ffn_factor_of(pass);
  Tensor q = linear(x, weights[query]);
  if (m.peer_norm) q = group_norm(q, m.peer_heads, {}, {.epsilon = 1e-5, .center = true});
  const auto [expert, gate] = choose(q.view({members, rows * m.peer_heads, m.peer_key}),
                                     multiplied(weights[keys]), m, rows);
  if (pass.tally) {
    Tensor load = at::zeros({members, m.peer_experts}, at::kDouble);
    load.scatter_add_(1, expert.flatten(1).to(at::kCPU),
                      gate.detach().to(at::kCPU, at::kDouble).flatten(1));
    pass.tally->add(pass.layer, "experts", load, rows);
  }
  const Tensor inner = activation(
      Activation::gelu, picked_dots(x.reshape({members, rows, m.width}), weights[up], expert),
      activation_options(pass));
  Tensor y =
      picked_sum(inner * gate.to(inner.scalar_type()), weights[down], expert).view(x.sizes());
  if (factor.mixture != 1.0) y = y * factor.mixture;
  if (m.peer_shared > 0)
    y = (y + ffn_forward<Activation::gelu>(weights.subspan(shared), x, pass)) * factor.sum;
  return y;
}

}  // namespace rung

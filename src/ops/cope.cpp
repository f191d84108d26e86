#include "ops/cope.h"

#include <ATen/ops/cumsum.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>

#include <limits>

#include "ops/cuda/fused.h"
#include "ops/dispatch.h"
#include "ops/norm.h"
#include "ops/wide.h"

namespace rung {
namespace {

using at::Tensor;

// z [.., T, n] at fractional positions p [.., T, keys]: linear between the two whole ones around
// them.
Tensor interpolated(const Tensor& z, const Tensor& p) {
  if constexpr (with_cuda)
    if (z.is_cuda() && z.scalar_type() == at::kFloat) return cuda::interpolated(z, p);
  const Tensor below = p.floor().detach(), above = p.ceil().detach();
  const Tensor share = p - below;  // the gradient reaches p through the share alone
  return z.gather(-1, above.to(at::kLong)) * share +
         z.gather(-1, below.to(at::kLong)) * (1.0 - share);
}

}  // namespace

Tensor cope_attention(const Tensor& qkv, const Weight& positions, const AttentionOptions& o,
                      bool scaled, KeyValues* past) {
  // Counts of gates over a long sequence need more digits than bf16 has.
  const Heads h = split_heads(wide(scale_gradient(qkv, o.backward / o.forward)), o);
  KeyValues own;
  KeyValues& all = past ? *past : own;
  append(all, h.k, h.v);
  const int64_t time = qkv.size(2), keys = all.k.size(2), repeat = o.heads / o.kv_heads;
  const auto by_head = [](const Tensor& x) { return x.transpose(2, 3); };  // [P, B, H, T, d]
  const auto grouped = [&](const Tensor& x) {
    return by_head(repeat == 1 ? x : x.repeat_interleave(repeat, 3));
  };
  const Tensor q = by_head(h.q), k = grouped(all.k), v = grouped(all.v);
  const Tensor future =
      at::ones({time, keys}, qkv.options().dtype(at::kBool)).triu(1 + keys - time);
  const Tensor content = (at::matmul(q, k.transpose(-1, -2)) * o.logit)
                             .masked_fill(future, -std::numeric_limits<double>::infinity());
  // Masked keys have gates of 0, so that the sum over later keys counts visible ones only.
  const Tensor gates = at::sigmoid(content);
  const Tensor count = at::cumsum(gates.flip({-1}), -1).flip({-1});
  const Tensor p = count.clamp_max(static_cast<double>(positions.value.size(1) - 1));
  const Tensor table = wide(multiplied(positions));
  const Tensor z = at::matmul(q, table.transpose(1, 2).unsqueeze(1).unsqueeze(1));
  const Tensor logits = content + interpolated(z, p) * (scaled ? o.logit : 1.0);
  const Tensor mixed = at::matmul(at::softmax(logits, -1), v) * o.forward;
  return mixed.transpose(2, 3).flatten(-2).to(qkv.scalar_type());
}

}  // namespace rung

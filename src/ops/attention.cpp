#include "ops/attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/softmax.h>

#include <cmath>
#include <limits>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/norm.h"

namespace rung {

using at::Tensor;

Rope make_rope(int64_t time, int64_t head_dim, const at::TensorOptions& options, double theta,
               int64_t start) {
  const auto wide = options.dtype(at::kDouble);
  const Tensor position = at::arange(start, start + time, wide);
  const Tensor frequency = at::exp(at::arange(head_dim / 2, wide) *
                                   (-2.0 * std::log(theta) / static_cast<double>(head_dim)));
  const Tensor angle = at::outer(position, frequency);
  return {at::cos(angle).to(options.dtype()), at::sin(angle).to(options.dtype())};
}

namespace {

// x [P, B, T, H, d]: rotates the half-split pairs of every head.
Tensor rotated(const Tensor& x, const Rope& rope) {
  if (!rope.cosine.defined()) return x;
  const int64_t half = x.size(-1) / 2;
  const Tensor c = rope.cosine.to(x.scalar_type()).view({1, 1, x.size(2), 1, half}),
               s = rope.sine.to(x.scalar_type()).view({1, 1, x.size(2), 1, half});
  const Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
  const Tensor first = a * c - b * s;
  const Tensor second = b * c + a * s;
  return at::cat({first, second}, -1);
}

}  // namespace

Heads split_heads(const Tensor& qkv, const AttentionOptions& o) {
  const auto heads = [&](int64_t start, int64_t count) {
    return qkv.narrow(-1, start * o.head_dim, count * o.head_dim)
        .view({qkv.size(0), qkv.size(1), qkv.size(2), count, o.head_dim});
  };
  return {heads(0, o.heads), heads(o.heads, o.kv_heads), heads(o.heads + o.kv_heads, o.kv_heads)};
}

Tensor qk_norm(const Tensor& qkv, const AttentionOptions& o) {
  const Heads h = split_heads(qkv, o);
  const auto normed = [](const Tensor& x) {
    const Tensor scale = (x * x).mean({-1}, true).add(1e-6).rsqrt();
    return (x * scale).flatten(-2);
  };
  return at::cat({normed(h.q), normed(h.k), h.v.flatten(-2)}, -1);
}

Tensor offset_keys(const Tensor& qkv, const AttentionOptions& o, KeyValues* past) {
  const int64_t time = qkv.size(2), half = o.head_dim / 2, fast = fast_pairs(o.head_dim);
  const Heads h = split_heads(qkv, o);
  const Tensor first = past && past->own.defined() ? past->own : h.k.narrow(2, 0, 1);
  const Tensor before = at::cat({first, h.k.narrow(2, 0, time - 1)}, 2);
  if (past) past->own = h.k.narrow(2, time - 1, 1);
  const Tensor k = at::cat({h.k.narrow(-1, 0, fast), before.narrow(-1, fast, half - fast),
                            h.k.narrow(-1, half, fast), before.narrow(-1, half + fast, half - fast),
                            h.k.narrow(-1, 2 * half, o.head_dim - 2 * half)},
                           -1);
  return at::cat({h.q.flatten(-2), k.flatten(-2), h.v.flatten(-2)}, -1);
}

namespace {

// A key or value head for each query head: [P, B, T, kv_heads, d] -> [P, B, heads, T, d].
Tensor grouped(const Tensor& x, const AttentionOptions& o) {
  const int64_t repeat = o.heads / o.kv_heads;
  return (repeat == 1 ? x : x.repeat_interleave(repeat, 3)).transpose(2, 3);
}

}  // namespace

Tensor attention_scores(const Tensor& qkv, const Rope& rope, const AttentionOptions& o) {
  const Heads h = split_heads(o.key_offset ? offset_keys(qkv, o, nullptr) : qkv, o);
  const Tensor q = rotated(h.q, rope).transpose(2, 3), k = grouped(rotated(h.k, rope), o);
  return at::matmul(q, k.transpose(-1, -2)) * o.logit;
}

void append(KeyValues& past, const Tensor& k, const Tensor& v) {
  past.k = past.k.defined() ? at::cat({past.k, k}, 2) : k;
  past.v = past.v.defined() ? at::cat({past.v, v}, 2) : v;
}

Tensor attention_after(const Tensor& qkv, const Rope& rope, const AttentionOptions& o,
                       KeyValues& past) {
  const Tensor scaled = scale_gradient(qkv, o.backward / o.forward);
  const Heads h = split_heads(o.key_offset ? offset_keys(scaled, o, &past) : scaled, o);
  append(past, rotated(h.k, rope), h.v);
  const int64_t time = qkv.size(2), keys = past.k.size(2);
  const Tensor q = rotated(h.q, rope).transpose(2, 3), k = grouped(past.k, o),
               v = grouped(past.v, o);
  const Tensor future =
      at::ones({time, keys}, qkv.options().dtype(at::kBool)).triu(1 + keys - time);
  const Tensor logits = at::matmul(q, k.transpose(-1, -2)) * o.logit;
  const Tensor weights =
      at::softmax(logits.masked_fill(future, -std::numeric_limits<double>::infinity()), -1);
  return (at::matmul(weights, v) * o.forward).transpose(2, 3).flatten(-2);
}

Tensor attention_plain(const Tensor& qkv, const Rope& rope, const AttentionOptions& o) {
  KeyValues none;
  return attention_after(qkv, rope, o, none);
}

namespace {

Tensor attention_cpu(const Tensor& qkv, const Rope& rope, const AttentionOptions& o) {
  const int64_t sequences = qkv.size(0) * qkv.size(1), time = qkv.size(2);
  const int64_t in_size = time * qkv.size(3), out_size = time * o.heads * o.head_dim;
  const cpu::AttentionShape shape{time,
                                  o.heads,
                                  o.kv_heads,
                                  o.head_dim,
                                  static_cast<float>(o.logit),
                                  static_cast<float>(o.forward),
                                  static_cast<float>(o.backward),
                                  o.key_offset ? fast_pairs(o.head_dim) : o.head_dim / 2};
  const Tensor input = qkv.detach().contiguous();
  Tensor out = at::empty({qkv.size(0), qkv.size(1), time, o.heads * o.head_dim}, input.options());
  const Tensor lse = at::empty({sequences, o.heads, time}, input.options());
  Tensor scratch = at::empty({cpu::attention_scratch(shape)}, input.options());
  const auto pointer = [](const Tensor& t) {
    return t.defined() ? t.const_data_ptr<float>() : nullptr;
  };
  for (int64_t i = 0; i < sequences; ++i)
    cpu::attention_forward(shape, pointer(input) + i * in_size, pointer(rope.cosine),
                           pointer(rope.sine), out.mutable_data_ptr<float>() + i * out_size,
                           lse.mutable_data_ptr<float>() + i * o.heads * time,
                           scratch.mutable_data_ptr<float>());
  record({out}, {qkv}, [=, saved = out.detach()](const std::vector<Tensor>& g) {
    const Tensor dout = g[0].contiguous();
    Tensor dqkv = at::empty_like(input), work = at::empty_like(scratch);
    for (int64_t i = 0; i < sequences; ++i)
      cpu::attention_backward(shape, pointer(input) + i * in_size, pointer(rope.cosine),
                              pointer(rope.sine), pointer(saved) + i * out_size,
                              pointer(lse) + i * o.heads * time, pointer(dout) + i * out_size,
                              dqkv.mutable_data_ptr<float>() + i * in_size,
                              work.mutable_data_ptr<float>());
    return std::vector<Tensor>{dqkv};
  });
  return out;
}

}  // namespace

Tensor attention(const Tensor& qkv, const Rope& rope, const AttentionOptions& options) {
  if (fused_on_cpu(qkv)) return attention_cpu(qkv, rope, options);
  if constexpr (with_cuda)
    if (fused_on_cuda(qkv) && cuda::fits_attention(qkv, options))
      return cuda::attention(qkv, rope, options);
  return attention_plain(qkv, rope, options);
}

}  // namespace rung

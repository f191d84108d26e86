#include "ops/attention.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>

#include <limits>

#include "ops/cpu/kernels.h"
#include "ops/cuda/fused.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/span.h"
#include "ops/wide.h"

namespace rung {

using at::Tensor;

Heads split_heads(const Tensor& qkv, const AttentionOptions& o) {
  const auto heads = [&](int64_t start, int64_t count) {
    return qkv.narrow(-1, start * o.head_dim, count * o.head_dim)
        .view({qkv.size(0), qkv.size(1), qkv.size(2), count, o.head_dim});
  };
  return {heads(0, o.heads), heads(o.heads, o.kv_heads), heads(o.heads + o.kv_heads, o.kv_heads)};
}

Tensor qk_norm(const Tensor& qkv, const AttentionOptions& o, const QkNormOptions& norm,
               const Weight& q_gain, const Weight& k_gain) {
  const Heads h = split_heads(qkv, o);
  const auto normed = [&](const Tensor& heads, const Weight& gain) {
    const Tensor x = wide(norm.whole ? heads.flatten(-2) : heads);
    Tensor y = x * (x * x).mean({-1}, true).add(norm.epsilon).rsqrt();
    if (gain.value.defined()) {
      std::vector<int64_t> shape(static_cast<size_t>(y.dim()), 1);
      shape.front() = y.size(0);
      shape.back() = y.size(-1);
      y = y * multiplied(gain).view(shape);
    }
    return (norm.whole ? y : y.flatten(-2)).to(qkv.scalar_type());
  };
  return at::cat({normed(h.q, q_gain), normed(h.k, k_gain), h.v.flatten(-2)}, -1);
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

namespace {

// What the next token of a window sees besides itself.
void keep_last(KeyValues& past, int64_t count) {
  const int64_t keys = past.k.size(2);
  if (keys <= count) return;
  past.k = past.k.narrow(2, keys - count, count);
  past.v = past.v.narrow(2, keys - count, count);
}

}  // namespace

Tensor attention_after(const Tensor& qkv, const Rope& rope, const AttentionOptions& o,
                       KeyValues& past) {
  const Tensor scaled = scale_gradient(qkv, o.backward / o.forward);
  const Heads h = split_heads(o.key_offset ? offset_keys(scaled, o, &past) : scaled, o);
  append(past, rotated(h.k, rope), h.v);
  const int64_t time = qkv.size(2), keys = past.k.size(2), last = keys - time;
  const Tensor q = rotated(h.q, rope).transpose(2, 3), k = grouped(past.k, o),
               v = grouped(past.v, o);
  const Tensor all = at::ones({time, keys}, qkv.options().dtype(at::kBool));
  Tensor hidden = all.triu(1 + last);
  if (o.window > 0) hidden = hidden.logical_or(all.tril(last - o.window));
  Tensor logits = wide(at::matmul(q, k.transpose(-1, -2))) * o.logit;
  if (o.cap > 0.0) logits = at::tanh(logits / o.cap) * o.cap;
  const Tensor weights =
      at::softmax(logits.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
  if (o.window > 0) keep_last(past, o.window - 1);
  return (at::matmul(weights.to(v.scalar_type()), v) * o.forward).transpose(2, 3).flatten(-2);
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
  const Span span("rung::attention");
  if (options.cap > 0.0) return attention_plain(qkv, rope, options);
  const bool windowed = options.window > 0 && options.window < qkv.size(2);
  if (fused_on_cpu(qkv) && !windowed) return attention_cpu(qkv, rope, options);
  if constexpr (with_cuda)
    if (fused_on_cuda(qkv) && cuda::fits_attention(qkv, options))
      return cuda::attention(qkv, rope, options);
  return attention_plain(qkv, rope, options);
}

Tensor mapped_attention(const Tensor& x, const Weight& weight, const Rope& rope,
                        const AttentionOptions& options) {
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && cuda::fits_fp8_attention(x, weight, options))
      return cuda::fp8_attention(x, weight, rope, options);
  AttentionOptions o = options;
  o.overwrite = !weight.taps;  // a tap shows the map's output
  return attention(linear(x, weight), rope, o);
}

}  // namespace rung

// Short heads and sequences go through our own kernels, others through rotation on packed rows
// around torch's. The output's factor is folded into the values, and the gradients' factors into
// the pass that rotates them back, so that neither costs a pass of its own.
#ifdef RUNG_CUDA
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/small_attention.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// What the backward pass of a library kernel needs besides q, k, v and the output.
struct Context {
  Tensor q, k, v, out;  // [N, T, heads, d]
  Tensor lse, seed, offset, cumulative_q, cumulative_k;
  bool cudnn;
  std::optional<int64_t> before;  // tokens that a window shows besides its own; none: all
};

// Flash attention sums its query gradients with atomics unless it is told not to.
struct Deterministic {
  at::Context& context = at::globalContext();
  bool algorithms = context.deterministicAlgorithms();
  bool warn = context.deterministicAlgorithmsWarnOnly();
  bool fill = context.deterministicFillUninitializedMemory();
  Deterministic() {
    context.setDeterministicFillUninitializedMemory(false);
    context.setDeterministicAlgorithms(true, false);
  }
  ~Deterministic() {
    context.setDeterministicAlgorithms(algorithms, warn);
    context.setDeterministicFillUninitializedMemory(fill);
  }
};

void library_forward(Context& c, double scale) {
  const int64_t time = c.q.size(1);
  if (!c.cudnn) {
    std::tie(c.out, c.lse, c.seed, c.offset, std::ignore) = at::_flash_attention_forward(
        c.q, c.k, c.v, std::nullopt, std::nullopt, time, time, 0.0, true, false, scale, c.before,
        c.before ? std::optional<int64_t>(0) : std::nullopt);
    return;
  }
  const auto result = at::_scaled_dot_product_cudnn_attention(
      c.q.transpose(1, 2), c.k.transpose(1, 2), c.v.transpose(1, 2), std::nullopt, true, 0.0, true,
      false, scale);
  c.out = std::get<0>(result).transpose(1, 2).contiguous();
  c.lse = std::get<1>(result);
  c.cumulative_q = std::get<2>(result);
  c.cumulative_k = std::get<3>(result);
  c.seed = std::get<6>(result);
  c.offset = std::get<7>(result);
}

std::tuple<Tensor, Tensor, Tensor> library_backward(const Context& c, const Tensor& dout,
                                                    double scale) {
  const Deterministic guard;
  const int64_t time = c.q.size(1);
  if (!c.cudnn)
    return at::_flash_attention_backward(dout, c.q, c.k, c.v, c.out, c.lse, Tensor(), Tensor(),
                                         time, time, 0.0, true, c.seed, c.offset, scale, c.before,
                                         c.before ? std::optional<int64_t>(0) : std::nullopt);
  const auto swap = [](const Tensor& t) { return t.transpose(1, 2); };
  const auto [dq, dk, dv] = at::_scaled_dot_product_cudnn_attention_backward(
      swap(dout), swap(c.q), swap(c.k), swap(c.v), swap(c.out), c.lse, c.seed, c.offset, Tensor(),
      c.cumulative_q, c.cumulative_k, time, time, 0.0, true, scale);
  return {swap(dq), swap(dk), swap(dv)};
}

const float* pointer(const Tensor& t) {
  return t.defined() ? t.const_data_ptr<float>() : nullptr;
}

Tensor empty_output(const Tensor& qkv, const AttentionOptions& o) {
  return at::empty({qkv.size(0), qkv.size(1), qkv.size(2), o.heads * o.head_dim},
                   qkv.options().requires_grad(false));
}

bool has_window(const RopeShape& shape, const AttentionOptions& o) {
  return o.window > 0 && o.window < shape.time;
}

Tensor small(const Tensor& qkv, const Rope& table, const RopeShape& rope,
             const AttentionOptions& o) {
  const SmallAttention shape{rope, static_cast<float>(o.logit), pointer(table.cosine),
                             pointer(table.sine)};
  const Tensor input = qkv.detach().contiguous();
  Tensor out = empty_output(input, o);
  const Tensor lse =
      at::empty({rope.sequences, o.heads, rope.time}, input.options().dtype(at::kFloat));
  small_attention_forward(shape, data(input), static_cast<float>(o.forward), writable(out),
                          floats(lse), stream());
  // The tables are captured to outlive the step.
  record({out}, {qkv}, [=, saved = out.detach()](const std::vector<Tensor>& g) {
    static_cast<void>(table);
    const Tensor dout = g[0].contiguous();
    Tensor dqkv = at::empty_like(input);
    small_attention_backward(shape, data(input), data(saved), lse.const_data_ptr<float>(),
                             data(dout), static_cast<float>(o.forward),
                             static_cast<float>(o.backward / o.forward),
                             static_cast<float>(o.backward), writable(dqkv), stream());
    return std::vector<Tensor>{dqkv};
  });
  return out;
}

Tensor library(const Tensor& qkv, const Rope& table, const RopeShape& shape,
               const AttentionOptions& o) {
  const int64_t sequences = shape.sequences, time = shape.time;
  Context c;
  if (has_window(shape, o)) c.before = o.window - 1;
  c.cudnn = !c.before && at::globalContext().userEnabledCuDNNSDP() && o.head_dim >= 64 &&
            o.heads == o.kv_heads;
  Tensor out;
  {
    at::NoGradGuard off;
    const Tensor input = qkv.detach().contiguous();
    const bool in_place = o.overwrite && o.forward == 1.0 && !o.key_offset;
    const Tensor packed = in_place ? input : at::empty_like(input);
    if (!in_place)
      rope_forward(type_of(input), shape, data(input), pointer(table.cosine), pointer(table.sine),
                   static_cast<float>(o.forward), writable(packed), stream());
    else if (table.cosine.defined())
      rope_in_place(type_of(input), shape, writable(packed), pointer(table.cosine),
                    pointer(table.sine), stream());
    const Tensor rows = packed.view({sequences, time, o.heads + 2 * o.kv_heads, o.head_dim});
    c.q = rows.narrow(2, 0, o.heads);
    c.k = rows.narrow(2, o.heads, o.kv_heads);
    c.v = rows.narrow(2, o.heads + o.kv_heads, o.kv_heads);
    library_forward(c, o.logit);
    c.out = c.out.contiguous();
    out = c.out.view({qkv.size(0), qkv.size(1), time, o.heads * o.head_dim});
    c.out = c.out.detach();
  }
  record({out}, {qkv}, [=, sizes = qkv.sizes().vec()](const std::vector<Tensor>& g) {
    const Tensor dout = g[0].contiguous().view({sequences, time, o.heads, o.head_dim});
    auto [dq, dk, dv] = library_backward(c, dout, o.logit);
    dq = dq.contiguous(), dk = dk.contiguous(), dv = dv.contiguous();
    Tensor dqkv = at::empty(sizes, dout.options());
    rope_backward(type_of(dout), shape, data(dq), data(dk), data(dv), pointer(table.cosine),
                  pointer(table.sine), static_cast<float>(o.backward / o.forward),
                  static_cast<float>(o.backward), writable(dqkv), stream());
    return std::vector<Tensor>{dqkv};
  });
  return out;
}

}  // namespace

bool fits_attention(const Tensor& qkv, const AttentionOptions& o) {
  return qkv.scalar_type() == at::kBFloat16 && o.head_dim % 8 == 0 && o.head_dim <= 256;
}

Tensor attention(const Tensor& qkv, const Rope& rope, const AttentionOptions& o) {
  const RopeShape shape{qkv.size(0) * qkv.size(1),
                        qkv.size(2),
                        o.heads,
                        o.kv_heads,
                        o.head_dim,
                        o.key_offset ? fast_pairs(o.head_dim) : o.head_dim / 2};
  // Tables are fp32 whatever the compute type: an angle of 1,000 turns does not fit 8 bits.
  Rope table = rope;
  if (rope.cosine.defined()) table = {rope.cosine.to(at::kFloat), rope.sine.to(at::kFloat)};
  const bool short_heads = fits_small_attention(shape) && !has_window(shape, o);
  return short_heads ? small(qkv, table, shape, o) : library(qkv, table, shape, o);
}

}  // namespace rung::cuda
#endif

// Short heads and sequences go through our own kernels, heads of 64 on Hopper devices through wider
// ones, others through rotation on packed rows around torch's. The output's factor is folded into
// the values, and the gradients' factors into the pass that rotates them back, so that neither
// costs a pass of its own.
#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/wide_heads.h"
#include "ops/cuda/library_attention.h"
#include "ops/cuda/small_attention.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

Tensor empty_output(const Tensor& qkv, const AttentionOptions& o) {
  return at::empty({qkv.size(0), qkv.size(1), qkv.size(2), o.heads * o.head_dim},
                   qkv.options().requires_grad(false));
}

Tensor small(const Tensor& qkv, const Rope& table, const RopeShape& rope,
             const AttentionOptions& o) {
  const SmallAttention shape{rope, static_cast<float>(o.logit), floats_in(table.cosine),
                             floats_in(table.sine)};
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

// Queries and keys are turned once, where they lie if they may be overwritten.
Tensor wide_heads(const Tensor& qkv, const Rope& table, const RopeShape& rope,
                  const AttentionOptions& o) {
  const WideHeads shape{rope, static_cast<float>(o.logit), floats_in(table.cosine),
                        floats_in(table.sine)};
  const Tensor input = qkv.detach().contiguous();
  const bool kept = recording() && qkv.requires_grad();
  const Tensor turned = kept && !o.overwrite && shape.cosine ? input.clone() : input;
  Tensor out = empty_output(input, o);
  const Tensor lse =
      at::empty({rope.sequences, o.heads, rope.time}, input.options().dtype(at::kFloat));
  const Tensor counters = at::empty({wide_counters}, input.options().dtype(at::kInt));
  wide_heads_forward(shape, data(input), kept ? writable(turned) : nullptr,
                     static_cast<float>(o.forward), writable(out), floats(lse),
                     counters.mutable_data_ptr<int>(), stream());
  record({out}, {qkv}, [=, saved = out.detach()](const std::vector<Tensor>& g) {
    static_cast<void>(table);
    const Tensor dout = g[0].contiguous(), dqkv = at::empty_like(turned);
    const Tensor scratch = at::empty({wide_heads_scratch(rope)}, lse.options());
    const WideHeadsBackward of{.qkv = data(turned),
                               .out = data(saved),
                               .dout = data(dout),
                               .lse = lse.const_data_ptr<float>(),
                               .value = static_cast<float>(o.forward),
                               .qk = static_cast<float>(o.backward / o.forward),
                               .gradient = static_cast<float>(o.backward),
                               .dqkv = writable(dqkv),
                               .scratch = floats(scratch),
                               .counters = counters.mutable_data_ptr<int>()};
    wide_heads_backward(shape, of, stream());
    return std::vector<Tensor>{dqkv};
  });
  return out;
}

Tensor library(const Tensor& qkv, const Rope& table, const RopeShape& shape,
               const AttentionOptions& o) {
  LibraryAttention c;
  Tensor out;
  {
    at::NoGradGuard off;
    c = attend_by_library(qkv.detach().contiguous(), table, shape, o);
    out = c.out.view({qkv.size(0), qkv.size(1), shape.time, o.heads * o.head_dim});
    c.out = c.out.detach();
  }
  record({out}, {qkv}, [=, sizes = qkv.sizes().vec()](const std::vector<Tensor>& g) {
    const Tensor dout = g[0].contiguous().view({shape.sequences, shape.time, o.heads, o.head_dim});
    if (gives_packed_gradient(c, shape))
      return std::vector<Tensor>{packed_gradient(c, table, shape, o, dout).view(sizes)};
    const auto [dq, dk, dv] = library_gradients(c, dout);
    Tensor dqkv = at::empty(sizes, dout.options());
    rope_backward(type_of(dout), shape, data(dq), data(dk), data(dv), floats_in(table.cosine),
                  floats_in(table.sine), static_cast<float>(o.backward / o.forward),
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
  const RopeShape shape = rope_shape_of(qkv, o);
  const Rope table = fp32_tables(rope);
  if (has_window(shape, o)) return library(qkv, table, shape, o);
  if (takes_wide_heads(shape)) return wide_heads(qkv, table, shape, o);
  return fits_small_attention(shape) ? small(qkv, table, shape, o) : library(qkv, table, shape, o);
}

}  // namespace rung::cuda
#endif

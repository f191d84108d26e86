// The map to queries, keys and values on FP8 units with the attention behind it: the gradient that
// the attention gives is turned back straight into the codes that the map's products read.
#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>

#include "ops/cuda/fp8.h"
#include "ops/cuda/fp8_casts.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/library_attention.h"
#include "ops/cuda/small_attention.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Codes of the gradient of [q | k | v], of `members` of the shape's sequences.
Fp8Codes gradient_codes(const LibraryAttention& c, const Rope& table, const RopeShape& shape,
                        const AttentionOptions& o, const Tensor& dout, int64_t members,
                        const Quantiser& q) {
  const auto [dq, dk, dv] = library_gradients(c, dout);
  const Fp8Shape codes{.members = members,
                       .rows = shape.sequences / members * shape.time,
                       .columns = (o.heads + 2 * o.kv_heads) * o.head_dim,
                       .stride = 0,
                       .e5m2 = true,
                       .scale = static_cast<float>(q.scale)};
  Fp8Codes result = fp8_codes(dq, members, codes.rows, codes.columns, true);
  cast_fp8_rope_gradient(type_of(dq), codes, shape, data(dq), data(dk), data(dv),
                         floats_in(table.cosine), floats_in(table.sine),
                         static_cast<float>(o.backward / o.forward), static_cast<float>(o.backward),
                         writable(result.rows), writable(result.columns), stream());
  return result;
}

}  // namespace

bool fits_fp8_attention(const Tensor& x, const Weight& weight, const AttentionOptions& o) {
  if (weight.taps || weight.ternary || !fits_fp8(x, weight) || o.key_offset || o.cap > 0.0)
    return false;
  const RopeShape shape{x.size(0) * x.size(1), x.size(2), o.heads, o.kv_heads, o.head_dim,
                        o.head_dim / 2};
  return o.head_dim % 32 == 0 && o.head_dim <= 256 && !fits_small_attention(shape);
}

Tensor fp8_attention(const Tensor& x, const Weight& weight, const Rope& rope,
                     const AttentionOptions& options) {
  const MapFormats& f = *weight.formats;
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = x.size(3);
  const double of_x = f.activation.scale, of_w = f.weight.scale;
  const bool both = recording();  // the backward pass reads the others
  AttentionOptions o = options;
  o.overwrite = true;
  const Rope table = fp32_tables(rope);
  Fp8Codes input, map;
  LibraryAttention c;
  RopeShape shape{};
  Tensor out;
  {
    const at::NoGradGuard off;
    input = fp8_cast(x.detach().contiguous().view({members, rows, in}), f.activation, false, both);
    map = fp8_cast(weight.value.detach(), f.weight, false, both);
    const Tensor qkv = fp8_product(input.rows, map.rows, weight.A / (of_x * of_w), true)
                           .view({members, x.size(1), x.size(2), weight.value.size(1)});
    shape = rope_shape_of(qkv, o);
    c = attend_by_library(qkv, table, shape, o);
    out = c.out.view({members, x.size(1), x.size(2), o.heads * o.head_dim});
    c.out = c.out.detach();
  }
  record({out}, {x},
         [=, w = weight, sizes = x.sizes().vec(), needs_input = x.requires_grad(),
          read = input.columns, by = map.columns](const std::vector<Tensor>& g) {
           const MapFormats& formats = *w.formats;
           const Tensor dout =
               g[0].contiguous().view({shape.sequences, shape.time, o.heads, o.head_dim});
           const Fp8Codes upstream =
               gradient_codes(c, table, shape, o, dout, members, formats.gradient);
           const double of_dy = formats.gradient.scale;
           Tensor dx;
           if (needs_input)
             dx = fp8_product(upstream.rows, by, w.A_input / (of_dy * formats.weight.scale), false)
                      .view(sizes);
           if (w.gradient.defined())
             fp8_add(w.gradient, upstream.columns, read,
                     w.A_weight / (of_dy * formats.activation.scale));
           return std::vector<Tensor>{dx};
         });
  return out;
}

}  // namespace rung::cuda
#endif

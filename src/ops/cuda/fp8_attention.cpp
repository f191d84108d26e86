// The map to queries, keys and values on FP8 units with the attention behind it: the gradient that
// the library gives is turned back straight into the codes that the map's products read.
#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "ops/cuda/fp8_casts.h"
#include "ops/cuda/fp8_stream.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/wide_heads.h"
#include "ops/cuda/library_attention.h"
#include "ops/cuda/product.h"
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
  if (gives_packed_gradient(c, shape))
    return fp8_cast(packed_gradient(c, table, shape, o, dout)
                        .view({members, shape.sequences / members * shape.time, -1}),
                    q, true);
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
  const bool own =
      fits_small_attention(shape) ||
      (shape.time <= few_positions && takes_wide_heads(shape) && !has_window(shape, o));
  return o.head_dim % 32 == 0 && o.head_dim <= 256 && !own;
}

namespace {

// The map and the attention behind it, and what their backward pass reads.
struct Fp8Attention {
  Weight weight;
  AttentionOptions options;
  Rope table;
  RopeShape shape{};
  LibraryAttention attended;
  Tensor read, by;  // codes of the input and of the map by columns
  Tensor out;
};

// [q | k | v] of the codes, and what is left of the attention's factor on its output: where two
// products can be had, v has it, and nothing needs to be copied for it.
std::pair<Tensor, double> packed_map(const Fp8Codes& input, const Fp8Codes& map, double factor,
                                     const AttentionOptions& o) {
  const Tensor &x = input.rows, &by = map.rows;
  const int64_t turned = (o.heads + o.kv_heads) * o.head_dim, values = o.kv_heads * o.head_dim;
  if (o.forward == 1.0) return {fp8_product(x, by, factor, true), 1.0};
  const Tensor y = at::empty({x.size(0), x.size(1), by.size(1)}, x.options().dtype(at::kBFloat16));
  const auto fits = [&](int64_t begin, int64_t count) {
    return fits_product(y.narrow(2, begin, count), x, by.narrow(1, begin, count).mT());
  };
  if (!fits(0, turned) || !fits(turned, values))
    return {fp8_product(x, by, factor, true), o.forward};
  const auto give = [&](int64_t begin, int64_t count, double alpha) {
    product(y.narrow(2, begin, count), x, by.narrow(1, begin, count).mT(), alpha, false, true);
  };
  give(0, turned, factor);
  give(turned, values, factor * o.forward);
  return {y, 1.0};
}

// input: codes of [members, rows, in]; sequences: of a member.
Fp8Attention attend_in_fp8(const Fp8Codes& input, int64_t sequences, const Weight& weight,
                           const Rope& rope, const AttentionOptions& options, bool both) {
  const MapFormats& f = *weight.formats;
  const int64_t members = input.rows.size(0), time = input.rows.size(1) / sequences;
  Fp8Attention s{.weight = weight, .options = options, .table = fp32_tables(rope)};
  s.options.overwrite = true;
  const Fp8Codes map = fp8_codes_of(weight, both);
  const auto [mapped, left] =
      packed_map(input, map, weight.A / fp8_scale(f.activation, f.weight), options);
  const Tensor qkv = mapped.view({members, sequences, time, weight.value.size(1)});
  s.shape = rope_shape_of(qkv, s.options);
  AttentionOptions behind = s.options;
  behind.forward = left;
  s.attended = attend_by_library(qkv, s.table, s.shape, behind);
  s.out = s.attended.out.view({members, sequences, time, options.heads * options.head_dim});
  s.attended.out = s.attended.out.detach();
  s.read = input.columns;
  s.by = map.columns;
  return s;
}

// The gradient of the input [members, rows, in], where it is needed, from that of the output.
Tensor fp8_attention_gradient(const Fp8Attention& s, const Tensor& dout, bool needed) {
  const MapFormats& f = *s.weight.formats;
  const AttentionOptions& o = s.options;
  const Fp8Codes upstream =
      gradient_codes(s.attended, s.table, s.shape, o,
                     dout.contiguous().view({s.shape.sequences, s.shape.time, o.heads, o.head_dim}),
                     dout.size(0), f.gradient);
  if (s.weight.gradient.defined())
    fp8_add(s.weight.gradient, upstream.columns, s.read,
            s.weight.A_weight / fp8_scale(f.gradient, f.activation));
  if (!needed) return {};
  return fp8_product(upstream.rows, s.by, s.weight.A_input / fp8_scale(f.gradient, f.weight),
                     false);
}

}  // namespace

Tensor fp8_attention(const Tensor& x, const Weight& weight, const Rope& rope,
                     const AttentionOptions& options) {
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = x.size(3);
  const bool both = recording();  // the backward pass reads the others
  Fp8Attention s;
  {
    const at::NoGradGuard off;
    const Fp8Codes input = fp8_cast(x.detach().contiguous().view({members, rows, in}),
                                    weight.formats->activation, false, both);
    s = attend_in_fp8(input, x.size(1), weight, rope, options, both);
  }
  Tensor out = s.out;
  s.out = Tensor();
  record({out}, {x},
         [s, sizes = x.sizes().vec(), needed = x.requires_grad()](const std::vector<Tensor>& g) {
           const Tensor dx = fp8_attention_gradient(s, g[0], needed);
           return std::vector<Tensor>{dx.defined() ? dx.view(sizes) : dx};
         });
  return out;
}

bool fits_fp8_stream_attention(const Tensor& x, const Weight& weight, const AttentionOptions& o,
                               const NormOptions& norm) {
  return !norm.center && fits_norm(x, {}) && fits_fp8_attention(x, weight, o);
}

std::pair<Tensor, Tensor> fp8_stream_attention(const Tensor& x, const NormOptions& options,
                                               const Weight& weight, const Rope& rope,
                                               const AttentionOptions& o) {
  const bool both = recording();
  Fp8Attention s;
  Fp8Norm norm{.h = {}, .rstd = {}, .options = options};
  Tensor h = x.detach().contiguous();
  {
    const at::NoGradGuard off;
    norm.h = h.flatten(1, 2);
    const NormedCodes input = fp8_norm(norm.h, options, weight.formats->activation, both);
    norm.rstd = input.rstd;
    s = attend_in_fp8(input.codes, x.size(1), weight, rope, o, both);
  }
  Tensor out = s.out;
  s.out = Tensor();
  h = h.detach();
  record({h, out}, {x}, [s, norm, sizes = x.sizes().vec()](const std::vector<Tensor>& g) {
    const Tensor dh = g[0].defined() ? g[0].contiguous() : Tensor();
    if (!g[1].defined()) return std::vector<Tensor>{dh};
    const Tensor dy = fp8_attention_gradient(s, g[1], true);
    return std::vector<Tensor>{fp8_norm_gradient(norm, dy, dh).view(sizes)};
  });
  return {h, out};
}

}  // namespace rung::cuda
#endif

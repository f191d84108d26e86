// The ffn on FP8 units: what its activation makes, forward and backward, goes straight into the
// codes that the next products read, by rows and by columns, and not into bf16 first: two bytes a
// number are written where it were two written, two read and two written.
#ifdef RUNG_CUDA
#include <ATen/core/grad_mode.h>

#include "ops/cuda/fp8_casts.h"
#include "ops/cuda/fp8_hidden.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

Fp8Shape hidden_shape(const Tensor& h, int64_t width, bool e5m2, const Quantiser& q) {
  return {.members = h.size(0),
          .rows = h.size(1),
          .columns = width,
          .stride = h.size(1) * width,
          .e5m2 = e5m2,
          .scale = static_cast<float>(q.scale)};
}

}  // namespace

Fp8Codes fp8_activated(const Tensor& h, const Mlp& m, int64_t width, bool both) {
  const Quantiser& q = m.second.formats->activation;
  Fp8Codes codes = fp8_codes(h, h.size(0), h.size(1), width, false, both);
  cast_fp8_activation(type_of(h), curve_of(m.kind), hidden_shape(h, width, false, q), data(h),
                      static_cast<float>(m.activation.slope),
                      static_cast<float>(m.activation.forward), writable(codes.rows),
                      writable(codes.columns), stream());
  return codes;
}

Fp8Codes fp8_hidden_gradient(const Tensor& h, const Tensor& dout, const Mlp& m) {
  const Quantiser& q = m.first.formats->gradient;
  Fp8Codes codes = fp8_codes(h, h.size(0), h.size(1), h.size(2), true);
  cast_fp8_activation_gradient(type_of(h), curve_of(m.kind), hidden_shape(h, dout.size(2), true, q),
                               data(h), data(dout), static_cast<float>(m.activation.slope),
                               static_cast<float>(m.activation.backward), writable(codes.rows),
                               writable(codes.columns), stream());
  return codes;
}

Tensor fp8_mlp_gradient(const Mlp& m, const Fp8MlpSaved& s, const Tensor& dy, double factor,
                        bool needs_input) {
  const Weight &first = m.first, &second = m.second;
  const MapFormats &f1 = *first.formats, &f2 = *second.formats;
  Fp8Codes up = fp8_cast(dy, f2.gradient, true, true, factor);
  const Tensor dout =
      fp8_product(up.rows, s.second, second.A_input / fp8_scale(f2.gradient, f2.weight), false);
  if (second.gradient.defined())
    fp8_add(second.gradient, up.columns, s.inner,
            second.A_weight / fp8_scale(f2.gradient, f2.activation));
  up = fp8_hidden_gradient(s.hidden, dout, m);
  Tensor dx;
  if (needs_input)
    dx = fp8_product(up.rows, s.first, first.A_input / fp8_scale(f1.gradient, f1.weight), false);
  if (first.gradient.defined())
    fp8_add(first.gradient, up.columns, s.input,
            first.A_weight / fp8_scale(f1.gradient, f1.activation));
  return dx;
}

bool fits_fp8_mlp(const Tensor& x, const Mlp& m) {
  const int64_t inner = m.second.value.size(2);
  return m.kind != Activation::reglu2 && !m.first.taps && !m.second.taps && !m.first.ternary &&
         !m.second.ternary && fits_fp8(x, m.first) && inner % 16 == 0 &&
         fits_fp8(x, m.second);  // of the second x has as many rows
}

Tensor fp8_mlp(const Tensor& x, const Mlp& m) {
  const int64_t members = x.size(0), rows = x.size(1) * x.size(2), in = x.size(3);
  const MapFormats &f1 = *m.first.formats, &f2 = *m.second.formats;
  const bool both = recording();  // the backward pass reads the others
  Tensor y;
  Fp8MlpSaved saved;
  {
    const at::NoGradGuard off;
    const Fp8Codes input = fp8_cast(x.detach().contiguous().view({members, rows, in}),
                                    f1.activation, false, both),
                   first = fp8_codes_of(m.first, both);
    saved.hidden =
        fp8_product(input.rows, first.rows, m.first.A / fp8_scale(f1.activation, f1.weight), true);
    const Fp8Codes inner = fp8_activated(saved.hidden, m, m.second.value.size(2), both),
                   second = fp8_codes_of(m.second, both);
    y = fp8_product(inner.rows, second.rows, m.second.A / fp8_scale(f2.activation, f2.weight), true)
            .view({members, x.size(1), x.size(2), m.second.value.size(1)});
    saved.input = input.columns;
    saved.first = first.columns;
    saved.inner = inner.columns;
    saved.second = second.columns;
  }
  record({y}, {x},
         [m, saved, rows, sizes = x.sizes().vec(),
          needs_input = x.requires_grad()](const std::vector<Tensor>& g) {
           const Tensor dy = g[0].contiguous();
           const Tensor dx = fp8_mlp_gradient(m, saved, dy.view({dy.size(0), rows, dy.size(3)}),
                                              1.0, needs_input);
           return std::vector<Tensor>{dx.defined() ? dx.view(sizes) : dx};
         });
  return y;
}

}  // namespace rung::cuda
#endif

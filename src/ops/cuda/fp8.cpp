#ifdef RUNG_CUDA
#include "ops/cuda/fp8.h"

#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "ops/cuda/beside.h"
#include "ops/cuda/blank.h"
#include "ops/cuda/product.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

using at::Tensor;

namespace {

void fp8_into(const Tensor& y, const Tensor& a, const Tensor& b, double factor, bool fast_sums) {
  if (fits_product(y, a, b.mT())) return product(y, a, b.mT(), factor, false, fast_sums);
  const auto wide = a.options().dtype(at::kFloat);
  const Tensor scale = at::full({}, factor, wide), one = at::full({}, 1.0, wide);
  for (int64_t p = 0; p < a.size(0); ++p) {
    Tensor out = y.select(0, p);
    at::_scaled_mm_out(out, a.select(0, p), b.select(0, p).t(), scale, one, {}, {}, y.scalar_type(),
                       fast_sums);
  }
}

Fp8Shape shape_of(const Tensor& x, const Quantiser& q, bool e5m2, double factor) {
  return {.members = x.size(0),
          .rows = x.size(1),
          .columns = x.size(2),
          .stride = x.stride(0),
          .e5m2 = e5m2,
          .scale = static_cast<float>(q.scale),
          .factor = static_cast<float>(factor)};
}

}  // namespace

Fp8Codes fp8_codes(const Tensor& like, int64_t members, int64_t rows, int64_t columns, bool e5m2,
                   bool both) {
  const auto options =
      like.options().dtype(e5m2 ? at::kFloat8_e5m2 : at::kFloat8_e4m3fn).requires_grad(false);
  return {at::empty({members, rows, columns}, options),
          both ? at::empty({members, columns, rows}, options) : Tensor()};
}

Fp8Codes fp8_cast(const Tensor& x, const Quantiser& q, bool e5m2, bool both, double factor) {
  const Fp8Shape shape = shape_of(x, q, e5m2, factor);
  Fp8Codes codes = fp8_codes(x, shape.members, shape.rows, shape.columns, e5m2, both);
  cast_fp8(type_of(x), shape, data(x), writable(codes.rows), writable(codes.columns), stream());
  return codes;
}

void fp8_cast_into(const Tensor& codes, const Tensor& x, const Quantiser& q) {
  for (int64_t p = 0; p < x.size(0); ++p)  // members lie apart
    cast_fp8(type_of(x), shape_of(x.narrow(0, p, 1), q, false, 1.0), data(x.narrow(0, p, 1)),
             writable(codes.narrow(0, p, 1)), nullptr, stream());
}

Fp8Codes fp8_codes_of(const Weight& weight, bool both) {
  const Tensor& kept = weight.codes;
  if (!kept.defined()) return fp8_cast(weight.value.detach(), weight.formats->weight, false, both);
  const Fp8Shape shape{.members = kept.size(0),
                       .rows = kept.size(1),
                       .columns = kept.size(2),
                       .stride = kept.stride(0),
                       .e5m2 = false,
                       .scale = 1.0f};
  Fp8Codes codes{.rows = kept};
  if (both) {
    codes.columns = at::empty({shape.members, shape.columns, shape.rows}, kept.options());
    turn_fp8(shape, data(kept), writable(codes.columns), stream());
  }
  return codes;
}

Tensor fp8_product(const Tensor& a, const Tensor& b, double factor, bool fast_sums) {
  const Tensor y = at::empty({a.size(0), a.size(1), b.size(1)}, a.options().dtype(at::kBFloat16));
  fp8_into(y, a, b, factor, fast_sums);
  return y;
}

void fp8_add(const Tensor& y, const Tensor& a, const Tensor& b, double factor) {
  const bool adds = !writes_over(y);
  beside({a, b}, y, [&] {
    if (fits_product(y, a, b.mT())) return product(y, a, b.mT(), factor, adds);
    if (!adds) return fp8_into(y, a, b, factor, false);
    const Tensor part = at::empty(y.sizes(), y.options());
    fp8_into(part, a, b, factor, false);
    y.add_(part);
  });
}

}  // namespace rung::cuda
#endif

#ifdef RUNG_CUDA
#include "ops/cuda/fp8_stream.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/fp8_casts.h"
#include "ops/cuda/product.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

using at::Tensor;

namespace {

NormShape stream_shape(const Tensor& h, const NormOptions& o) {
  return {h.size(0), h.size(1), h.size(2), static_cast<float>(o.epsilon), false, 0};
}

NormGradient stream_gradient(const Fp8Norm& n, const Tensor& dy, const Tensor& dh, double branch,
                             const Tensor& dx) {
  return {.dy = data(dy),
          .dh = data(dh),
          .dh_factor = static_cast<float>(n.dh_factor),
          .input_gradient = static_cast<float>(n.options.input_gradient),
          .skip = static_cast<float>(n.skip),
          .branch = static_cast<float>(branch),
          .dx = writable(dx),
          .df = nullptr,
          .dgain = nullptr,
          .dgain_stride = 0,
          .partial = nullptr};
}

}  // namespace

NormedCodes fp8_norm(const Tensor& h, const NormOptions& options, const Quantiser& q, bool both) {
  NormedCodes result{fp8_codes(h, h.size(0), h.size(1), h.size(2), false, both),
                     at::empty({h.size(0), h.size(1)}, h.options().dtype(at::kFloat))};
  cast_fp8_norm(stream_shape(h, options), static_cast<float>(q.scale), data(h), floats(result.rstd),
                writable(result.codes.rows), writable(result.codes.columns), stream());
  return result;
}

Tensor fp8_norm_gradient(const Fp8Norm& n, const Tensor& dy, const Tensor& dh) {
  Tensor dx = at::empty_like(n.h);
  norm_backward(type_of(n.h), stream_shape(n.h, n.options), data(n.h), nullptr, floats_in(n.rstd),
                nullptr, stream_gradient(n, dy, dh, 1.0, dx), stream());
  return dx;
}

std::pair<Tensor, Fp8Codes> fp8_norm_gradient(const Fp8Norm& n, const Tensor& dy, const Tensor& dh,
                                              double branch, const Quantiser& q) {
  Tensor dx = at::empty_like(n.h);
  Fp8Codes codes = fp8_codes(n.h, n.h.size(0), n.h.size(1), n.h.size(2), true);
  cast_fp8_norm_gradient(stream_shape(n.h, n.options), static_cast<float>(q.scale), data(n.h),
                         floats_in(n.rstd), stream_gradient(n, dy, dh, branch, dx),
                         writable(codes.rows), writable(codes.columns), stream());
  return {dx, codes};
}

Tensor fp8_product_onto(const Tensor& onto, double share, const Tensor& a, const Tensor& b,
                        double factor) {
  Tensor out = at::empty_like(onto);
  product_onto(out, onto, share, a, b.mT(), factor, true);
  return out;
}

}  // namespace rung::cuda
#endif

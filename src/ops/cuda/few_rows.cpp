#ifdef RUNG_CUDA
#include "ops/cuda/few_rows.h"

#include "ops/cuda/device.h"
#include "ops/cuda/few_rows_kernels.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

using at::Tensor;

namespace {

FewRows few_rows_of(const Tensor& gradient, const Tensor& dy, const Tensor& x) {
  return {.members = dy.size(0),
          .rows = dy.size(1),
          .out = dy.size(2),
          .in = x.size(2),
          .member_stride = gradient.stride(0)};
}

}  // namespace

#ifdef RUNG_WGMMA
bool fits_few_rows(const Tensor& gradient, const Tensor& dy, const Tensor& x) {
  const auto packed = [](const Tensor& t) {
    return t.scalar_type() == at::kBFloat16 && t.size(2) % 8 == 0 && t.is_contiguous() &&
           reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
  };
  return gradient.scalar_type() == at::kFloat && gradient.dim() == 3 && is_packed(gradient) &&
         packed(dy) && packed(x) && is_hopper() && fits_few_rows(few_rows_of(gradient, dy, x));
}

void sum_few_rows(const Tensor& gradient, const Tensor& dy, const Tensor& x, double factor) {
  sum_few_rows(few_rows_of(gradient, dy, x), data(dy), data(x), static_cast<float>(factor),
               floats(gradient), stream());
}
#else
bool fits_few_rows(const Tensor&, const Tensor&, const Tensor&) {
  return false;
}
void sum_few_rows(const Tensor&, const Tensor&, const Tensor&, double) {}
#endif

}  // namespace rung::cuda
#endif

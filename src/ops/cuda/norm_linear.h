// RMSNorm and a narrow matrix behind it in one kernel each way: normalised rows exist only on chip.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

// The matrix and its gradient must fit into one multiprocessor.
constexpr bool fits_norm_linear(int64_t width, int64_t out) {
  return (width == 32 || width == 64) && out >= 16 && out % 16 == 0 && out <= 192;
}

struct NormLinearShape {
  int64_t members, rows, width, out;
  int64_t stride;  // elements between members' matrices [out, width]
  float epsilon;
};
// y = factor matrix RMSNorm(x).
void norm_linear_forward(const NormLinearShape& shape, const void* x, const void* matrix,
                         float factor, void* y, Stream stream);

struct NormLinearGradient {
  const void *dy, *dh;  // dh: gradient of x from elsewhere; may be null
  float input_factor;   // on matrix^T dy, the factor on the gradient through the norm included
  float matrix_factor;
  void* dx;
  float* dmatrix;  // added to; may be null
  int64_t dmatrix_stride;
  float* partial;  // [members, norm_linear_blocks(shape), out, width] when dmatrix is given
};
// Blocks that share a member's rows, as mlp_blocks.
int64_t norm_linear_blocks(const NormLinearShape& shape);
void norm_linear_backward(const NormLinearShape& shape, const void* x, const void* matrix,
                          const NormLinearGradient& gradient, Stream stream);
// Then dmatrix += matrix_factor times the blocks' sums in `partial`.
void norm_linear_join(const NormLinearShape& shape, const NormLinearGradient& gradient,
                      Stream stream);

// The same at width 128 for any number of outputs, a multiple of 8: slices of them pass by. Takes
// dx from dy and dh; the matrix's gradient is left to a product with `unit` = RMSNorm(x), which is
// written unless it is null.
constexpr bool fits_wide_norm_linear(int64_t width, int64_t out) {
  return width == 128 && out >= 8 && out % 8 == 0;
}
void wide_norm_linear_forward(const NormLinearShape& shape, const void* x, const void* matrix,
                              float factor, void* y, Stream stream);
struct WideNormLinearGradient {
  const void *dy, *dh;
  float input_factor;
  void *dx, *unit;
};
void wide_norm_linear_backward(const NormLinearShape& shape, const void* x, const void* matrix,
                               const WideNormLinearGradient& gradient, Stream stream);

}  // namespace rung::cuda

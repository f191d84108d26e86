// What the kernels of narrow models (mlp.h, norm_linear.h) and those that keep rows on chip
// (streamed_mlp.h) ask of rows and weights, their widths aside.
#pragma once
#include "ops/cuda/device.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

// x [P, B, T, D]; weights that are observed (`tap`), ternary or in formats take the plain way.
// Matrices' gradients are left to products.
inline bool fits_rows_on_chip(const at::Tensor& x, const Weight& weight) {
  return x.scalar_type() == at::kBFloat16 && is_packed_map(weight) && weight.is_plain() &&
         x.size(0) < 65536 && x.size(1) * x.size(2) < (int64_t{1} << 30) &&
         block_memory() >= hopper_block_memory;
}
// The same where kernels of our own add to gradients.
inline bool fits_narrow(const at::Tensor& x, const Weight& weight) {
  return fits_rows_on_chip(x, weight) && is_packed_half(weight);
}

}  // namespace rung::cuda

// What the kernels of narrow models (mlp.h, norm_linear.h) ask of rows and weights, their widths
// aside.
#pragma once
#include "ops/cuda/device.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

// x [P, B, T, D]; weights that are observed (`tap`), ternary or in formats take the plain way.
inline bool fits_narrow(const at::Tensor& x, const Weight& weight) {
  return x.scalar_type() == at::kBFloat16 && is_packed_half(weight) && weight.is_plain() &&
         x.size(0) < 65536 && x.size(1) * x.size(2) < (int64_t{1} << 30) &&
         block_memory() >= hopper_block_memory;
}

}  // namespace rung::cuda

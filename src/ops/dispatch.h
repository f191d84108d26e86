// Which twin of a fused op runs.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// Fused CPU kernels take float32; other types and devices run the plain twin unless they have
// kernels of their own.
inline bool fused_on_cpu(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat;
}

// Whether this build holds the kernels of ops/cuda; callers test it with `if constexpr`, so that
// other builds never refer to them.
#ifdef RUNG_CUDA
constexpr bool with_cuda = true;
#else
constexpr bool with_cuda = false;
#endif

// The CUDA kernels take float32 and bfloat16, eight elements at a time.
inline bool fused_on_cuda(const at::Tensor& x) {
  return with_cuda && x.is_cuda() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

}  // namespace rung

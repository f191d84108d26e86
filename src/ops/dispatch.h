// Which twin of a fused op runs.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// Fused CPU kernels take float32; other types and devices run the plain twin unless they have
// kernels of their own.
inline bool fused_on_cpu(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat;
}

}  // namespace rung

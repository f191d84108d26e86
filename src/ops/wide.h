// Gates, decays and sums over long sequences want more digits than bf16 has.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// fp64 as it is, everything else as fp32.
inline at::Tensor wide(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

}  // namespace rung

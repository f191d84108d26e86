// What the kernels of an ffn are told of its shapes.
#pragma once
#include "ops/cuda/mlp.h"
#include "ops/cuda/tensor.h"
#include "ops/mlp.h"

namespace rung::cuda {

// x [P, B, T, D] in front of the ffn.
inline MlpShape mlp_shape_of(const at::Tensor& x, const Mlp& m) {
  return {.curve = curve_of(m.kind),
          .members = x.size(0),
          .rows = x.size(1) * x.size(2),
          .width = x.size(3),
          .inner = m.second.value.size(2),
          .first_stride = m.first.value.stride(0),
          .second_stride = m.second.value.stride(0),
          .slope = static_cast<float>(m.activation.slope)};
}

}  // namespace rung::cuda

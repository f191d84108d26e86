// Gradients of members from `first` on as kernels read them.
#pragma once
#include "ops/cuda/tensor.h"
#include "ops/gradient_arena.h"

namespace rung::cuda {

// `all` [P, n], or where it is undefined those of `split`.
inline ArenaGradients gradients_of(const at::Tensor& all, const GradientArena* split,
                                   int64_t first = 0) {
  const at::Tensor& wide = split ? split->wide : all;
  ArenaGradients g{.wide = wide.const_data_ptr<float>() + first * wide.stride(0),
                   .wide_stride = wide.stride(0)};
  if (!split) return g;
  g.half = split->half.narrow(0, first, 1).const_data_ptr();
  g.half_stride = split->half.stride(0);
  g.places = split->places.const_data_ptr<int>();
  return g;
}

}  // namespace rung::cuda

// What both passes of streamed_mlp.h share.
#pragma once
#include "ops/cuda/curve.cuh"
#include "ops/cuda/hopper/streamed_mlp.h"
#include "ops/cuda/hopper/streamed_rows.cuh"

namespace rung::cuda {

// Both matrices and the block's rows as the copies want them.
struct StreamedMaps {
  CUtensorMap first, second, rows, x, h, dout, map, next;
};
template <class C>
StreamedMaps streamed_maps(const MlpShape& s, const void* first, const void* second) {
  return {tensor_map({first, long_row, s.inner, C::parts, s.members, long_row, s.inner * long_row,
                      s.first_stride, C::units}),
          tensor_map({second, s.inner, long_row, 1, s.members, s.inner, s.inner * long_row,
                      s.second_stride, long_row, C::units}),
          {},
          {},
          {},
          {},
          {},
          {}};
}

// What both passes read.
struct StreamedParts {
  int rows, inner, slices;
  float first_factor, slope, activation;
};
template <class C>
StreamedParts streamed_parts(const MlpShape& shape, float first_factor, float activation) {
  return {static_cast<int>(shape.rows),
          static_cast<int>(shape.inner),
          static_cast<int>((shape.inner + C::units - 1) / C::units),
          first_factor,
          shape.slope,
          activation};
}

}  // namespace rung::cuda

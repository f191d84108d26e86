// The ffn's step at width 256 behind its norm's input: the matrices stream past blocks of 128 rows,
// which keep their hidden units on chip.
#pragma once
#include "ops/cuda/hopper/sliced_mlp.h"
#include "ops/cuda/mlp.h"

namespace rung::cuda {

constexpr bool fits_streamed_mlp(int64_t width, int64_t inner) {
  return width == 256 && inner >= 8 && inner % 8 == 0;
}

// As mlp_forward with a block, whose f is null or goes through a map.
void streamed_mlp_forward(const MlpShape& shape, const MlpForward& forward, Stream stream);
// As sliced_mlp_backward, without df: dmapped = map_factor map^T dx.
void streamed_mlp_backward(const MlpShape& shape, const SlicedMlpBackward& backward, Stream stream);

}  // namespace rung::cuda

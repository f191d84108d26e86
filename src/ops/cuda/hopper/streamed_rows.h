// What kernels that stream matrices past blocks of rows (streamed_mlp.h, streamed_loss.h) ask of
// how many rows there are.
#pragma once
#include <cstdint>

namespace rung::cuda {

// Whether blocks of 128 rows keep most of a device's multiprocessors busy: fewer rows are faster op
// by op.
constexpr bool fills_device(int64_t members, int64_t rows, int64_t processors) {
  return members * ((rows + 127) / 128) * 4 >= 3 * processors;
}

}  // namespace rung::cuda

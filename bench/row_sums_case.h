// Gradients of matrices that are sums over the same rows, for benches of their kernels.
#pragma once
#include <cstdio>
#include <utility>
#include <vector>

#include "device_buffers.h"
#include "ops/cuda/hopper/few_rows_kernels.h"

namespace rung::cuda {

// Of matrices [out, in]; every other one adds to what is there. Says what it is on standard output.
inline RowSums row_sums_case(Buffers& b, int64_t members, int64_t rows,
                             const std::vector<std::pair<int64_t, int64_t>>& matrices) {
  std::printf("sums over P=%ld rows=%ld of %zu matrices\n", members, rows, matrices.size());
  RowSums sums{.members = members, .rows = rows, .sums = {}};
  for (const auto& [out, in] : matrices) {
    const bool adds = sums.count % 2 == 1;
    sums.sums[sums.count++] = {.dy = b.halves(members * rows * out),
                               .x = b.halves(members * rows * in),
                               .out = out,
                               .in = in,
                               .gradient = b.zeros(members * out * in),
                               .member_stride = out * in,
                               .factor = 0.5f,
                               .adds = adds};
  }
  return sums;
}

}  // namespace rung::cuda

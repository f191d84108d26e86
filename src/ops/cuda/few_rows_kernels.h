// A narrow matrix's gradient from few rows, dy^T x: few numbers, of which each is a long sum. A
// library's kernels for it take every multiprocessor's shared memory, so that what they run beside
// (beside.h) waits for them; this one leaves half of the multiprocessors alone. A cluster of blocks
// shares a tile's rows and joins its sums in order by way of the cluster's shared memory.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct FewRows {
  int64_t members, rows, out, in;  // out and in multiples of 8
  int64_t member_stride;           // elements between members' gradients
};
// Whether all members' rows are few, and the matrix so small that four blocks or more may share
// each of its tiles.
bool fits_few_rows(const FewRows& shape);
// gradient [members, out, in] += factor dy^T x; dy [members, rows, out] and x [members, rows, in]
// in bf16 without gaps, from 16-byte boundaries.
void sum_few_rows(const FewRows& shape, const void* dy, const void* x, float factor,
                  float* gradient, Stream stream);

}  // namespace rung::cuda

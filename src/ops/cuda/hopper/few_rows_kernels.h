// Gradients of several narrow matrices from the same few rows in one launch, dy^T x each: few
// numbers, of which each is a long sum. A cluster of blocks shares a tile's rows and joins its sums
// in order by way of the cluster's shared memory.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

constexpr int most_row_sums = 4;

// gradient [members, out, in] = or += factor dy^T x; dy [members, rows, out] and x [members, rows,
// in] in bf16 without gaps, from 16-byte boundaries.
struct RowSum {
  const void *dy, *x;
  int64_t out, in;  // multiples of 8
  float* gradient;
  int64_t member_stride;  // elements between members' gradients
  float factor;
  bool adds;
};
struct RowSums {
  int64_t members, rows;
  int count = 0;
  RowSum sums[most_row_sums];
};
// Whether all members' rows are few, and the matrices so small that two blocks or more may share
// each of their tiles.
bool fits_row_sums(const RowSums& sums);
void add_row_sums(const RowSums& sums, Stream stream);

}  // namespace rung::cuda

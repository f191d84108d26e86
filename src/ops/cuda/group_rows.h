// Rows of a mixture on their way back from their groups (ops/grouped.h).
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

// y [members, rows k, width] holds the k copies of each row at places [members, rows k] (int64);
// width is a multiple of 8.
struct GroupRows {
  int64_t members, rows, k, width;
};

// x [members, rows, width] = the sum of each row's copies, times weights [members, rows, k] (fp32)
// where they are given.
void gather_group_rows(Type type, const GroupRows& shape, const int64_t* places, const void* y,
                       const float* weights, void* x, Stream stream);
// Its gradients: dy at each place = weight dx, dweights = <dx, y>.
void spread_group_rows(Type type, const GroupRows& shape, const int64_t* places, const void* y,
                       const float* weights, const void* dx, void* dy, float* dweights,
                       Stream stream);

}  // namespace rung::cuda

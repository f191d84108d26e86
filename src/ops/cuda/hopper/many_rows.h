// What add_row_sums (few_rows_kernels.h) does, where rows are many and matrices wider: blocks have
// tiles of 128 x 256, parts of the rows as many as give every multiprocessor one, and the parts'
// sums are joined in order by a second launch. One product at a time has too few tiles for a
// device.
#pragma once
#include "ops/cuda/hopper/few_rows_kernels.h"

namespace rung::cuda {

// Whether these are several such matrices, which gain by one launch.
bool fits_many_row_sums(const RowSums& sums);
// Floats of room that the parts' sums want.
int64_t many_row_sums_space(const RowSums& sums);
void add_many_row_sums(const RowSums& sums, float* space, Stream stream);

}  // namespace rung::cuda

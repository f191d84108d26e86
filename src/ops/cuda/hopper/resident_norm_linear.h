// norm_linear.h's kernels at width 64 where rows are many: the matrix stays in shared memory, and
// warpgroups take rows through it by wgmma.
#pragma once
#include "ops/cuda/norm_linear.h"

namespace rung::cuda {

// Whether both passes are worth it. Hopper.
bool fits_resident_norm_linear(const NormLinearShape& shape);
// What norm_linear_forward and norm_linear_backward compute.
void resident_norm_linear_forward(const NormLinearShape& shape, const void* x, const void* matrix,
                                  float factor, void* y, Stream stream);
void resident_norm_linear_backward(const NormLinearShape& shape, const void* x, const void* matrix,
                                   const NormLinearGradient& gradient, Stream stream);

}  // namespace rung::cuda

// Shaped attention's sum (ops/shaped_sum.h): a thread two channels of a sequence, which walks the
// steps with their sum in registers, forward for the means and backward for what reaches back
// through them.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct ShapedSum {
  int64_t members, batch, time, heads, size;  // size: units of a head, even
};
// v, mixed and y [members, batch, time, heads, size]; gains [members, 3, heads].
void shaped_sum_forward(Type type, const ShapedSum& shape, const void* v, const void* mixed,
                        const float* gains, void* y, Stream stream);
// partial [members, batch, 3, heads, size]: the gains' gradients by sequence and channel.
void shaped_sum_backward(Type type, const ShapedSum& shape, const void* v, const void* mixed,
                         const float* gains, const void* dy, void* dv, void* dmixed, float* partial,
                         Stream stream);

}  // namespace rung::cuda

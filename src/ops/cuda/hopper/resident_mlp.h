// The ffn step of width 64 where rows are many: a block keeps a member's matrices in shared memory,
// as mlp.h does, and its warpgroups take 64 rows at a time through them by wgmma.
#pragma once
#include "ops/cuda/mlp.h"

namespace rung::cuda {

// Whether the forward pass is worth it: a block with rows enough for all multiprocessors. Hopper.
bool fits_resident_mlp(const MlpShape& shape, const MlpAround* block);
// What mlp_forward computes.
void resident_mlp_forward(const MlpShape& shape, const MlpForward& forward, Stream stream);

// The same of the backward pass, which has a block (and room for its map).
bool fits_resident_mlp_backward(const MlpShape& shape);
// What mlp_backward computes.
void resident_mlp_backward(const MlpShape& shape, const MlpBackward& backward, Stream stream);

}  // namespace rung::cuda

// Causal attention of heads of 64 elements by wgmma, on Hopper: queries and keys that the forward
// pass turns where they lie, gradients that are turned back as they are written, no atomics.
#pragma once
#include "ops/cuda/small_attention.h"

namespace rung::cuda {

// Whether the forward kernel takes this shape: heads of 64, keys not offset, all of a head's rows
// within a block's shared memory.
bool takes_wide_heads(const RopeShape& shape);

// As small_attention_forward. Queries and keys are written turned into `turned`, packed rows like
// qkv and perhaps the same ones, unless it is null.
void wide_heads_forward(const SmallAttention& shape, const void* qkv, void* turned, float value,
                        void* out, float* lse, Stream stream);

}  // namespace rung::cuda

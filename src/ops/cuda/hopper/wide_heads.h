// Causal attention of heads of 64 elements by wgmma on Hopper devices, forward pass over up to 512
// positions: all of a head's rows in a block's shared memory. bf16, heads that share nothing.
#pragma once
#include "ops/cuda/hopper/wide_heads_backward.h"

namespace rung::cuda {

// Whether both passes are made for this shape.
bool takes_wide_heads(const RopeShape& shape);

// qkv, out and lse as small_attention_forward has them. Queries and keys are written turned into
// `turned`, packed rows like qkv and perhaps the same ones, unless it is null.
void wide_heads_forward(const WideHeads& shape, const void* qkv, void* turned, float value,
                        void* out, float* lse, Stream stream);

}  // namespace rung::cuda

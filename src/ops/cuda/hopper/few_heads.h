// many_heads.h's attention where heads are at most half as many as multiprocessors: one model's.
// Two blocks share a head, and two warps what is summed for a tile.
#pragma once
#include "ops/cuda/small_attention.h"

namespace rung::cuda {

bool takes_few_heads(const SmallAttention& shape);
void few_heads_forward(const SmallAttention& shape, const void* qkv, float value, void* out,
                       float* lse, Stream stream);
void few_heads_backward(const SmallAttention& shape, const void* qkv, const void* out,
                        const float* lse, const void* dout, float value, float qk, float gradient,
                        void* dqkv, Stream stream);

}  // namespace rung::cuda

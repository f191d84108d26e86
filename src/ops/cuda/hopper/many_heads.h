// Short heads' attention (small_attention.h) where heads of 16 or 32 elements, keys not offset,
// outnumber the multiprocessors of a Hopper device. Both passes round the same q, which has the
// logit's factor in it, so that neither goes with the other one's of small_attention.cu.
#pragma once
#include "ops/cuda/small_attention.h"

namespace rung::cuda {

bool takes_many_heads(const SmallAttention& shape);
void many_heads_forward(const SmallAttention& shape, const void* qkv, float value, void* out,
                        float* lse, Stream stream);
void many_heads_backward(const SmallAttention& shape, const void* qkv, const void* out,
                         const float* lse, const void* dout, float value, float qk, float gradient,
                         void* dqkv, Stream stream);

}  // namespace rung::cuda

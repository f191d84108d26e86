// Causal attention over packed rows where heads and sequences are short: rotation, scores, softmax
// and mixture in one kernel each way, a block a head of a sequence. bf16, heads that share nothing.
// Flash attention (Dao et al. 2022) with all of the keys resident: the backward pass recomputes the
// scores once for the keys' gradients and once for the queries', so that nothing is summed by
// atomics.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct SmallAttention {
  RopeShape rope;  // heads == kv_heads
  float logit;     // multiplies q.k
  const float *cosine, *sine;
};

// Whether the kernels take this shape where a block may have so much shared memory: head_dim a
// multiple of 8 up to 64, and all of a head's rows within it.
constexpr bool fits_small_attention(const RopeShape& s, int64_t block_memory) {
  const int64_t padded = (s.head_dim + 15) / 16 * 16, rows = (s.time + 15) / 16 * 16;
  const int64_t bytes = rows * (4 * (padded + 8) * 2 + 8);
  return bytes <= (s.head_dim > 32 ? 160 : 100) * 1024 && bytes <= block_memory &&
         s.heads == s.kv_heads && s.head_dim % 8 == 0 && s.head_dim <= 64 && rows <= 256;
}
bool fits_small_attention(const RopeShape& shape);  // on the present device

// qkv [sequences, time, 3 heads head_dim] -> out [sequences, time, heads head_dim], values times
// `value`; lse [sequences, heads, time], base 2.
void small_attention_forward(const SmallAttention& shape, const void* qkv, float value, void* out,
                             float* lse, Stream stream);
// dqkv from dout: the gradients of q and k times `qk` (logit aside), of v times `gradient`.
void small_attention_backward(const SmallAttention& shape, const void* qkv, const void* out,
                              const float* lse, const void* dout, float value, float qk,
                              float gradient, void* dqkv, Stream stream);

}  // namespace rung::cuda

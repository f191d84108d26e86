// Causal attention's backward pass for heads of 64 on Hopper devices, any number of positions;
// bf16, heads that share nothing. After flash attention (Dao et al. 2022), but with no sum shared
// between blocks: some blocks own keys and see the queries after them, others own queries and see
// the keys before them, so that scores are made twice, nothing is added by atomics, and runs repeat
// to the bit.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct WideHeads {
  RopeShape rope;              // heads == kv_heads of 64 elements, keys not offset
  float logit;                 // multiplies q.k
  const float *cosine, *sine;  // [time, 32]; null: no rotation
};

// Whether the kernel is made for this shape, on a Hopper device and on the present one.
constexpr bool takes_wide_heads_backward_on_hopper(const RopeShape& s) {
  return s.head_dim == 64 && s.heads == s.kv_heads && s.fast == 32 && s.heads < 65536 &&
         s.sequences < 65536;
}
bool takes_wide_heads_backward(const RopeShape& shape);

constexpr int wide_counters = 3;  // of pieces of work that blocks have taken, and of blocks

struct WideHeadsBackward {
  const void *qkv, *out, *dout;  // q and k rotated; as small_attention.h has them
  const float* lse;              // [sequences, heads, time]
  float lse_to_base_2 = 1.0f;    // what makes logarithms to base 2 of lse
  float value, qk, gradient;     // factors, as in small_attention_backward
  void* dqkv;                    // q's and k's gradients are turned back
  float* scratch;                // wide_heads_scratch(shape) numbers
  int* counters;                 // wide_counters zeros, which they are again afterwards
};
int64_t wide_heads_scratch(const RopeShape& shape);
void wide_heads_backward(const WideHeads& shape, const WideHeadsBackward& of, Stream stream);

}  // namespace rung::cuda

// Causal attention of heads of 64 elements by wgmma on Hopper devices, forward pass over up to
// 1,024 positions, a block a head: all of its rows in shared memory (wide_heads_forward.cu), above
// 512 the keys alone (wide_heads_long.cu). bf16, heads that share nothing.
#pragma once
#include "ops/cuda/hopper/wide_heads_backward.h"

namespace rung::cuda {

constexpr int64_t few_positions = 512;  // of which a block keeps all rows
constexpr int64_t most_positions = 1024;

// Whether both passes are made for this shape, and above few_positions a Hopper device for these
// heads: where there are more heads than multiprocessors, these idle for at most a quarter of their
// turns.
constexpr bool takes_wide_heads_on_hopper(const RopeShape& s, int64_t processors) {
  if (!takes_wide_heads_backward_on_hopper(s) || s.time <= 64 || s.time > most_positions)
    return false;
  const int64_t heads = s.sequences * s.heads, turns = (heads + processors - 1) / processors;
  return s.time <= few_positions || turns == 1 || 4 * heads >= 3 * turns * processors;
}
bool takes_wide_heads(const RopeShape& shape);  // on the present device

// qkv, out and lse as small_attention_forward has them. Queries and keys are written turned into
// `turned`, packed rows like qkv and perhaps the same ones, and the backward pass's counters are
// cleared, unless these are null.
void wide_heads_forward(const WideHeads& shape, const void* qkv, void* turned, float value,
                        void* out, float* lse, int* counters, Stream stream);

}  // namespace rung::cuda

// The softmax of wide_heads_forward.cu: a warp's 16 queries with 64 keys at a time, scores and
// powers as wgmma gives and takes them. The maximum is taken over the first keys only, and again
// where powers relative to it get too large: 32 comparisons and as many products a lane less for
// all other keys.
#pragma once
#include "ops/cuda/hopper/many_heads.cuh"
#include "ops/cuda/hopper/wide_heads.cuh"

namespace rung::cuda {

// Sixteen queries' softmax so far; a lane holds parts of rows g and g + 8 (mma.cuh). Powers are
// relative to a row's reference: the largest score of the tiles until it last moved.
struct WideMixture {
  float sum[8][4] = {};
  float reference[2] = {-INFINITY, -INFINITY}, total[2] = {};
};

// Sums of powers up to this have lost nothing and leave room for values; before they get larger,
// references move.
constexpr float largest_wide_total = 1e30f;

// The largest scores of the rows; of 64 columns the warp sees the first 16 `seen`.
__device__ inline void raise_to_largest(float (&to)[2], const float (&s)[8][4], int seen) {
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (k < seen)
#pragma unroll
      for (int i = 0; i < 8; ++i) to[i % 4 / 2] = fmaxf(to[i % 4 / 2], s[2 * k + i / 4][i % 4]);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    to[r] = fmaxf(to[r], __shfl_xor_sync(0xffffffffu, to[r], 1));
    to[r] = fmaxf(to[r], __shfl_xor_sync(0xffffffffu, to[r], 2));
  }
}

__device__ inline void move_wide_references(WideMixture& m, const float (&s)[8][4], float logit,
                                            int seen) {
  const float before[2] = {m.reference[0], m.reference[1]};
  raise_to_largest(m.reference, s, seen);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float shrink = exp2_fast((before[r] - m.reference[r]) * logit);
    m.total[r] *= shrink;
#pragma unroll
    for (int n = 0; n < 8; ++n) m.sum[n][2 * r] *= shrink, m.sum[n][2 * r + 1] *= shrink;
  }
}

// The powers of scores as what the product with the values takes, p, and their sums.
template <bool all>
__device__ inline void add_wide_powers(WideMixture& m, const float (&s)[8][4], Quad (&p)[4],
                                       float logit, int seen) {
  const float shift[2] = {m.reference[0] * logit, m.reference[1] * logit};
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (all || k < seen) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float(&from)[4] = s[2 * k + i / 2];
        const int r = i % 2;
        const float low = exp2_fast(fmaf(from[2 * r], logit, -shift[r])),
                    high = exp2_fast(fmaf(from[2 * r + 1], logit, -shift[r]));
        m.total[r] += low;
        m.total[r] += high;
        p[k][i] = pack2(low, high);
      }
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) p[k][i] = 0;
    }
  }
}

__device__ inline void take_wide_powers(WideMixture& m, const float (&s)[8][4], Quad (&p)[4],
                                        float logit, bool first, int seen) {
  if (first) raise_to_largest(m.reference, s, seen);
  const float before[2] = {m.total[0], m.total[1]};
  if (seen == 4)
    add_wide_powers<true>(m, s, p, logit, seen);
  else
    add_wide_powers<false>(m, s, p, logit, seen);
  const bool large = !(fmaxf(m.total[0], m.total[1]) <= largest_wide_total);
  if (!__any_sync(0xffffffffu, large)) return;
  m.total[0] = before[0], m.total[1] = before[1];
  move_wide_references(m, s, logit, seen);
  add_wide_powers<false>(m, s, p, logit, seen);
}

// Of a tile on the diagonal a warp sees the columns up to its own 16 rows.
__device__ inline void hide_later_keys(float (&s)[8][4], int warp, int lane) {
  const int row = lane / 4, column = lane % 4 * 2;
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (k == warp)
#pragma unroll
      for (int i = 0; i < 8; ++i)
        if (i / 4 * 8 + column + i % 2 > row + i % 4 / 2 * 8) s[2 * k + i / 4][i % 4] = -INFINITY;
}

}  // namespace rung::cuda

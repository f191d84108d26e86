// Sixteen queries' mixture of values (many_heads.h), a warp's: scores, powers of two and sums.
#pragma once
#include "ops/cuda/hopper/many_heads_write.cuh"

namespace rung::cuda {

// Between these, sums of plain powers of two have lost nothing to overflow or underflow, and leave
// room for values.
constexpr float least_total = 1e-20f, largest_total = 1e30f;

template <int D>
struct Mixed {
  float sum[D / 8][4] = {};
  float total[4] = {};  // of the rounded powers, by a product with ones: all columns are the same
  float largest[2] = {-INFINITY, -INFINITY};
};

// Whether pair (row g + 8 (e / 2), column 8 n + 2 c + e % 2) of a tile on the diagonal is hidden.
__device__ inline bool is_hidden(int n, int e, int g, int c) {
  return 8 * n + 2 * c + e % 2 > g + e / 2 * 8;
}

// A running maximum: s becomes powers relative to it.
template <int D, int n>
__device__ inline void subtract_largest(Mixed<D>& m, float (&s)[n][2][4]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float largest = m.largest[r];
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int h = 0; h < 2; ++h)
        largest = fmaxf(largest, fmaxf(s[i][h][2 * r], s[i][h][2 * r + 1]));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float shrink = exp2_fast(m.largest[r] - largest);
    m.largest[r] = largest;
    m.total[2 * r] *= shrink, m.total[2 * r + 1] *= shrink;
#pragma unroll
    for (int d = 0; d < D / 8; ++d) m.sum[d][2 * r] *= shrink, m.sum[d][2 * r + 1] *= shrink;
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int h = 0; h < 2; ++h) s[i][h][2 * r] -= largest, s[i][h][2 * r + 1] -= largest;
  }
}

// Takes n tiles of keys into the mixture; where `masked`, the last one is the diagonal.
template <int D, int n, bool plain, bool masked>
__device__ inline void mix_keys(Mixed<D>& m, const Quad (&q)[D / 16], const TileLane<D>& at,
                                uint32_t keys, uint32_t values, int g, int c) {
  constexpr float none[4] = {};
  constexpr uint32_t ones = 0x3f803f80;
  float s[n][2][4];
#pragma unroll
  for (int i = 0; i < n; ++i) {
    Quad b[D / 16];
    load_down<D>(b, keys + i * 32 * D, at.down);
    pairs_product<D>(s[i], q, b, none, none);
  }
  if (masked)
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (is_hidden(i / 4, i % 4, g, c)) s[n - 1][i / 4][i % 4] = -INFINITY;
  if (!plain) subtract_largest<D, n>(m, s);
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      float& x = s[i][e / 4][e % 4];
      x = exp2_fast(x);
    }
#pragma unroll
  for (int i = 0; i < n; ++i) {
    Quad p, b[D / 16];
    as_a(p, s[i][0], s[i][1]);
    multiply(m.total, p, ones, ones, m.total);
    load_turned<D>(b, values + i * 32 * D, at.across);
    add_pairs<D>(m.sum, p, b);
  }
}

template <int D, bool plain>
__device__ inline void mix_all(Mixed<D>& m, const Quad (&q)[D / 16], const TileLane<D>& at,
                               uint32_t keys, uint32_t values, int tile, int g, int c) {
  constexpr int step = 32 * D;
#pragma unroll 1
  for (int key = 0; key + 2 <= tile; key += 2) {
    mix_keys<D, 2, plain, false>(m, q, at, keys, values, g, c);
    keys += 2 * step, values += 2 * step;
  }
  if (tile % 2)
    mix_keys<D, 2, plain, true>(m, q, at, keys, values, g, c);
  else
    mix_keys<D, 1, plain, true>(m, q, at, keys, values, g, c);
}

__device__ inline bool in_plain_range(float total) {
  return total >= least_total && total <= largest_total;
}

template <int D>
__device__ inline void finish_mixed(const Small& s, Mixed<D>& m, int tile, unsigned lane,
                                    uint32_t across, uint32_t scratch, float value, bf16* out,
                                    float* lse) {
  Quad rows[D / 16];
  float scale[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float total = m.total[2 * r];
    scale[r] = __fdividef(value, total);
    const unsigned row = 16 * tile + lane / 4 + 8 * r;
    if (lane % 4 == 0 && row < s.rope.time) lse[row] = m.largest[r] + __log2f(total);
  }
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      rows[k][i] = pack2(m.sum[2 * k + i / 2][i % 2 * 2] * scale[i % 2],
                         m.sum[2 * k + i / 2][i % 2 * 2 + 1] * scale[i % 2]);
  write_rows<D>(rows, scratch, lane, across, out, s.rope.heads * D, 16 * tile, s.rope.time);
}

}  // namespace rung::cuda

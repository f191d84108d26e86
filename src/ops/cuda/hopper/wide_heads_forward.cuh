// What the forward kernels of heads of 64 share: what they are told, products of a tile of queries
// with a tile of keys and values, and where results go.
#pragma once
#include "ops/cuda/hopper/wide_heads.h"
#include "ops/cuda/hopper/wide_heads_softmax.cuh"

namespace rung::cuda {

constexpr int most_short_tiles = few_positions / 64,
              most_long_tiles = most_positions / 64;  // of wide_heads_forward.cu, _long.cu

struct WideForward {
  CUtensorMap qkv, few, turned, out;  // few: qkv in boxes of 16 rows, as turned and out
  Angles angles;
  float logit, value;  // logit: times log2(e)
  float* lse;
  int* counters;
  int time, heads, tiles;
  bool keeps;
};

void wide_long_forward(const WideForward& s, int64_t heads, Stream stream);

__device__ inline void fetch_map(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(reinterpret_cast<uint64_t>(&map)) : "memory");
}

// A tile's queries with a tile's keys; the products with the values before them (p, m.sum) may
// still run when it begins.
__device__ inline void wide_scores(float (&s)[8][4], WideMixture& m, Quad (&p)[4], uint64_t queries,
                                   uint64_t keys) {
  pin(s);
  wgmma_fence();
  multiply<0>(s, queries, keys);
#pragma unroll
  for (int k = 1; k < 4; ++k) multiply_add<0>(s, moved(queries, 32 * k), moved(keys, 32 * k));
  wgmma_commit();
  wgmma_wait<0>();
  pin(s);
  pin(m.sum);
  pin(p);
}

__device__ inline void start_mixing(WideMixture& m, Quad (&p)[4], uint64_t values) {
  pin(m.sum);
  pin(p);
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < 4; ++k) multiply_add<1>(m.sum, p[k], moved(values, 2048 * k));
  wgmma_commit();
}

// Barriers by constant numbers: a block is taken to use all sixteen otherwise.
template <int groups>
__device__ inline void synchronise_group(int group) {
  if (group == 0) asm volatile("bar.sync 1, 128;" ::: "memory");
  if (group == 1) asm volatile("bar.sync 2, 128;" ::: "memory");
  if (groups > 2 && group == 2) asm volatile("bar.sync 3, 128;" ::: "memory");
  if (groups > 2 && group == 3) asm volatile("bar.sync 4, 128;" ::: "memory");
}

// A warp's rows, divided by their totals, to `scratch` and from there to global memory.
__device__ inline void write_wide_rows(const WideForward& s, WideMixture& m, uint32_t scratch,
                                       int first, int head, int sequence, int lane) {
  const TileLane<64> at(lane);
  float scale[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float total = group_sum<4>(m.total[r]);
    scale[r] = __fdividef(s.value, total);
    const int row = first + lane / 4 + 8 * r;
    if (lane % 4 == 0 && row < s.time)
      s.lse[(static_cast<int64_t>(sequence) * s.heads + head) * s.time + row] =
          m.reference[r] * s.logit + __log2f(total);
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    Quad out;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      out[i] = pack2(m.sum[2 * k + i / 2][i % 2 * 2] * scale[i % 2],
                     m.sum[2 * k + i / 2][i % 2 * 2 + 1] * scale[i % 2]);
    store_quad(scratch + (at.across ^ (32 * k)), out);
  }
  show_copies();
  __syncwarp();
  if (lane == 0) {
    write_box(s.out, scratch, 0, first, head, sequence);
    commit_writes();
  }
}

}  // namespace rung::cuda

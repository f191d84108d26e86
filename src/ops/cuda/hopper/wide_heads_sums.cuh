// What a warpgroup of wide_heads_backward.h does with an item: products, powers, sums and where
// they go.
#pragma once
#include "ops/cuda/hopper/wide_heads_backward.cuh"

namespace rung::cuda {

struct WideMaps {
  CUtensorMap qkv, out, dout, dqkv, cosine, sine;
};

// A warpgroup's view.
template <bool of_keys>
struct WideGroup {
  const WideRoom& room;
  const WideMaps& maps;
  const WideWork& work;
  WideFactors factors;
  int group, warp, lane;  // warp within the group
  int half;               // of the item's own rows
  uint32_t phase;         // the item's number modulo 2
  WidePlace at;           // of the tile whose products come next

  // Until a tile is there, with its numbers if it has some.
  __device__ void wait(const WidePlace& place) const {
    const bool numbers = of_keys && !work.made;
    wait_barrier(numbers ? room.numbered(place.stage) : room.full(place.stage), place.phase);
  }
  __device__ void wait() const { wait(at); }
  __device__ void wait_next() const {
    WidePlace next = at;
    next.next();
    wait(next);
  }
  __device__ void done(int stage) const {
    if (of_keys) return arrive(room.empty(stage));
    __syncwarp();
    if (lane == 0) arrive(room.empty(stage));
  }
  // A tile that others need.
  __device__ void skip() {
    wait();
    done(at.stage);
    at.next();
  }
  __device__ void wait_angles() const {
    if (work.turns) wait_barrier(room.angles_full(), phase);
  }
  __device__ void done_with_angles() const {
    __syncwarp();
    if (work.turns && lane == 0) arrive(room.angles_empty());
  }
  __device__ uint32_t scratch() const {
    return room.base + WideRoom::scratch + group * wide_panel + warp * 16 * panel_row;
  }
  __device__ int row() const { return 16 * warp + lane / 4; }  // of the half, and eight further on
};

// What is added to a tile's scores, or to its dp: -lse or -delta of queries, which are the tile's
// columns (`of_keys`) or the lane's rows.
template <bool of_keys>
struct WideNumbers {
  float2 of[of_keys ? 8 : 1];
  __device__ void load_columns(uint32_t numbers, int c) {
#pragma unroll
    for (int n = 0; n < 8; ++n) of[n] = shared_pair(numbers + 32 * n + 8 * c);
  }
  __device__ void load_rows(uint32_t numbers, int row) {
    of[0] = {shared_number(numbers + 4 * row), shared_number(numbers + 4 * row + 32)};
  }
  // For element i of matrix n.
  __device__ float at(int n, int i) const {
    const float2& pair = of[of_keys ? n : 0];
    return (of_keys ? i % 2 : i / 2) ? pair.y : pair.x;
  }
};

// Scores become powers; what the diagonal hides is 0.
template <bool of_keys, bool diagonal>
__device__ __forceinline__ void to_powers(float (&s)[8][4], float scale,
                                          const WideNumbers<of_keys>& lse, int row, int c) {
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int own = row + i / 2 * 8, other = 8 * n + 2 * c + i % 2;
      s[n][i] = exp2_fast(fmaf(s[n][i], scale, lse.at(n, i)));
      if (diagonal && (of_keys ? own > other : other > own)) s[n][i] = 0.0f;
    }
}

// The compiler moves waits before what they need not come after, unless a branch is between that
// hangs on it; this one is never taken, as powers are not negative.
__device__ __forceinline__ void hold(const float (&s)[8][4]) {
  uint32_t bits = 0;
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) bits |= __float_as_uint(s[n][i]);
  if (__any_sync(0xffffffffu, bits == 0xffffffffu)) __syncwarp();
}

// Of 64 keys dk and dv, over the tiles of queries from them on; of 64 queries dq, over the tiles of
// keys from theirs down. A tile's panels are rows x and y, the own ones a and b: scores are a x^T,
// dp is b y^T, dk or dq sums ds x, dv sums p y, where p are the scores' powers and ds = p (dp -
// delta). While powers are made, dp and the sums of the tile before are under way.
template <bool of_keys>
struct WideSums {
  Quad a[4], b[4], p[4], ds[4];
  WideNumbers<of_keys> lse, delta;
  float dx[8][4] = {}, dy[8][4] = {};
  uint64_t rows;  // of the tile at hand

  __device__ __forceinline__ void load_own_rows(const WideGroup<of_keys>& g) {
    const uint32_t own = g.room.own_rows(g.half);
    load_own(a, own, g.warp, g.lane);
    load_own(b, own + wide_panel, g.warp, g.lane);
    if (of_keys) return;
    if (!g.work.made) wait_barrier(g.room.own_numbered(), g.phase);
    const uint32_t numbers = g.room.own_numbers(g.half);
    lse.load_rows(numbers, g.row());
    delta.load_rows(numbers + 256, g.row());
  }
  // Starts the sums of the tile at hand.
  __device__ __forceinline__ void add_tile() {
    add_mixture(dx, ds, rows);
    if (of_keys) add_mixture(dy, p, moved(rows, wide_panel));
    wgmma_commit();
  }
  __device__ __forceinline__ void pin_sums() {
    pin(dx), pin(ds);
    if (of_keys) pin(dy), pin(p);
  }
  // Of the next tile, which has come; `more`: there is one behind it.
  template <bool first>
  __device__ __forceinline__ void step(WideGroup<of_keys>& g, bool more) {
    float s[8][4], dp[8][4];
    const int before = g.at.stage, c = g.lane % 4;
    if (!first) g.at.next();
    const uint64_t next = describe(g.room.tile(g.at.stage), 0);
    wgmma_fence();
    start_scores(s, a, next);
    wgmma_commit();
    start_scores(dp, b, moved(next, wide_panel));
    if (first)
      wgmma_commit();
    else
      add_tile();
    rows = next;
    if (of_keys) lse.load_columns(g.room.numbers(g.at.stage), c);
    wgmma_wait<1>();
    pin(s);
    to_powers<of_keys, first>(s, g.factors.scale, lse, g.row(), c);
    hold(s);
    if (more) g.wait_next();
    if (of_keys) delta.load_columns(g.room.numbers(g.at.stage) + 256, c);
    wgmma_wait<0>();
    pin(dp);
    if (!first) pin_sums(), g.done(before);
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) dp[n][i] = s[n][i] * (dp[n][i] + delta.at(n, i));
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (of_keys) as_a(p[k], s[2 * k], s[2 * k + 1]);
      as_a(ds[k], dp[2 * k], dp[2 * k + 1]);
    }
  }
};

template <bool of_keys>
__device__ __forceinline__ void wide_gradients(WideGroup<of_keys>& g, const WideItem& item) {
  const int tile = 2 * item.block + g.half;
  const bool here = tile < g.work.tiles;
  WideSums<of_keys> sums;
  if (here) sums.load_own_rows(g);
  arrive(g.room.own_empty());
  if (!here) {
    for (int i = item.tiles(g.work, of_keys); i > 0; --i) g.skip();
    g.wait_angles();
    return g.done_with_angles();
  }
  // The first tile is the other half's alone.
  if (of_keys ? g.half == 1 : g.half == 0 && tile + 1 < g.work.tiles) g.skip();
  const int count = of_keys ? g.work.tiles - tile : tile + 1;
  g.wait();
  sums.template step<true>(g, count > 1);
#pragma unroll 1
  for (int i = count - 1; i > 0; --i) sums.template step<false>(g, i > 1);
  wgmma_fence();
  sums.add_tile();
  const int row = tile * wide_tile;
  wgmma_wait<0>();
  sums.pin_sums();
  g.done(g.at.stage);
  g.at.next();
  wait_scratch(g.lane);
  if (of_keys)
    write_wide(sums.dy, g.factors.v, g.scratch(), g.lane, g.maps.dqkv, row + 16 * g.warp,
               2 * g.work.heads + item.head, item.sequence);
  g.wait_angles();
  if (g.work.turns) turn_back(sums.dx, g.room.own_angles(g.half), g.row(), g.lane % 4);
  g.done_with_angles();
  if (of_keys) wait_scratch(g.lane);
  write_wide(sums.dx, g.factors.qk, g.scratch(), g.lane, g.maps.dqkv, row + 16 * g.warp,
             (of_keys ? g.work.heads : 0) + item.head, item.sequence);
}

}  // namespace rung::cuda

#include "ops/cuda/device.h"
#include "ops/cuda/wide_heads_backward.cuh"

namespace rung::cuda {
namespace {

struct WideMaps {
  CUtensorMap qkv, dout, dqkv;
};

// A warpgroup's view.
struct WideGroup {
  const WideRoom& room;
  const WideMaps& maps;
  const WideWork& work;
  WideFactors factors;
  int half, warp, lane;  // warp within the group
  WidePlace at;          // of the tile whose products come next

  __device__ uint32_t tile(int stage) const { return room.base + stage * WideRoom::stage; }
  __device__ uint32_t stats(int stage) const { return room.base + WideRoom::stats + 512 * stage; }
  __device__ void wait() const { wait_barrier(room.full(at.stage), at.phase); }
  __device__ void wait_next() const {
    WidePlace next = at;
    next.next();
    wait_barrier(room.full(next.stage), next.phase);
  }
  __device__ void done(int stage) const {
    if (lane == 0) arrive(room.empty(stage));
  }
  // A tile that others need.
  __device__ void skip() {
    wait();
    done(at.stage);
    at.next();
  }
  __device__ uint32_t scratch(int panel) const {
    return room.base + WideRoom::scratch + (2 * half + panel) * wide_panel + warp * 16 * panel_row;
  }
  __device__ int row() const { return 16 * warp + lane / 4; }  // of the half, and eight further on
};

// What is added to a tile's scores and to its dp: -lse and -delta of the queries, which are the
// tile's columns or the lane's rows.
template <bool of_keys>
struct WideNumbers {
  float2 lse[of_keys ? 8 : 1], delta[of_keys ? 8 : 1];
  __device__ void load_columns(uint32_t numbers, int c) {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      lse[n] = shared_pair(numbers + 32 * n + 8 * c);
      delta[n] = shared_pair(numbers + 256 + 32 * n + 8 * c);
    }
  }
  __device__ void load_rows(uint32_t numbers, int row) {
    lse[0] = {shared_number(numbers + 4 * row), shared_number(numbers + 4 * row + 32)};
    delta[0] = {shared_number(numbers + 256 + 4 * row), shared_number(numbers + 288 + 4 * row)};
  }
  // Of element i of matrix n.
  __device__ static float of(const float2& pair, int i) {
    return i ? pair.y : pair.x;
  }
  __device__ float lse_of(int n, int i) const {
    return of_keys ? of(lse[n], i % 2) : of(lse[0], i / 2);
  }
  __device__ float delta_of(int n, int i) const {
    return of_keys ? of(delta[n], i % 2) : of(delta[0], i / 2);
  }
};

// Scores become powers p, and dp becomes the scores' gradients.
template <bool of_keys, bool diagonal>
__device__ __forceinline__ void to_gradients(float (&s)[8][4], float (&dp)[8][4], float scale,
                                             const WideNumbers<of_keys>& numbers, int row, int c) {
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      s[n][i] = exp2_fast(fmaf(s[n][i], scale, numbers.lse_of(n, i)));
      const int own = row + i / 2 * 8, other = 8 * n + 2 * c + i % 2;
      if (diagonal && (of_keys ? own > other : other > own)) s[n][i] = 0.0f;
      dp[n][i] = s[n][i] * (dp[n][i] + numbers.delta_of(n, i));
    }
}
__device__ __forceinline__ void pack_wide(Quad (&to)[4], const float (&x)[8][4]) {
#pragma unroll
  for (int k = 0; k < 4; ++k) as_a(to[k], x[2 * k], x[2 * k + 1]);
}

// Of 64 keys dk and dv, over the tiles of queries from them on; of 64 queries dq, over the tiles of
// keys from theirs down. A tile's panels are rows x and y, the own ones a and b: scores are a x^T,
// dp is b y^T, dk or dq sums ds x, dv sums p y. While a tile's powers are made, what the one before
// gives is summed.
template <bool of_keys>
__device__ __forceinline__ void wide_gradients(WideGroup& g, const WideItem& item) {
  const int c = g.lane % 4, tile = 2 * item.block + g.half;
  const bool here = tile < g.work.tiles;
  const int count = of_keys ? g.work.tiles - tile : tile + 1;
  Quad a[4], b[4], ds[4], p[4];
  WideNumbers<of_keys> numbers;
  if (here) {
    const uint32_t own = g.room.base + WideRoom::own + g.half * WideRoom::stage;
    load_own(a, own, g.warp, g.lane);
    load_own(b, own + wide_panel, g.warp, g.lane);
    if (!of_keys) numbers.load_rows(g.room.base + WideRoom::own_stats + 512 * g.half, g.row());
  }
  if (g.lane == 0) arrive(g.room.own_empty());
  if (!here) {
    for (int i = item.first_tile(); i < item.end_tile(g.work); ++i) g.skip();
    return;
  }
  // The first tile is the other half's alone.
  if (of_keys ? g.half == 1 : g.half == 0 && tile + 1 < g.work.tiles) g.skip();
  float dx[8][4] = {}, dy[8][4] = {}, s[8][4], dp[8][4];
  const float scale = g.factors.scale;
  g.wait();
  uint64_t rows = describe(g.tile(g.at.stage), 0);
  wgmma_fence();
  start_scores(s, a, rows);
  start_scores(dp, b, moved(rows, wide_panel));
  wgmma_commit();
  if (of_keys) numbers.load_columns(g.stats(g.at.stage), c);
  wgmma_wait<0>();
  pin(s), pin(dp);
  to_gradients<of_keys, true>(s, dp, scale, numbers, g.row(), c);
  if (count > 1) g.wait_next();
  if (of_keys) pack_wide(p, s);
  pack_wide(ds, dp);
#pragma unroll 1
  for (int i = 1; i < count; ++i) {
    const int before = g.at.stage;
    const uint64_t rows_before = rows;
    g.at.next();
    rows = describe(g.tile(g.at.stage), 0);
    wgmma_fence();
    start_scores(s, a, rows);
    start_scores(dp, b, moved(rows, wide_panel));
    wgmma_commit();
    add_mixture(dx, ds, rows_before);
    if (of_keys) add_mixture(dy, p, moved(rows_before, wide_panel));
    wgmma_commit();
    if (of_keys) numbers.load_columns(g.stats(g.at.stage), c);
    wgmma_wait<1>();
    pin(s), pin(dp);
    to_gradients<of_keys, false>(s, dp, scale, numbers, g.row(), c);
    pin(s), pin(dp);
    // Here, for the compiler moves the next wait before the powers unless a loop is between.
    if (i + 1 < count) g.wait_next();
    wgmma_wait<0>();
    pin(dx);
    if (of_keys) pin(dy), pack_wide(p, s);
    pack_wide(ds, dp);
    g.done(before);
  }
  wgmma_fence();
  add_mixture(dx, ds, rows);
  if (of_keys) add_mixture(dy, p, moved(rows, wide_panel));
  wgmma_commit();
  wgmma_wait<0>();
  pin(dx);
  g.done(g.at.stage);
  g.at.next();
  const int row = tile * wide_tile;
  wait_written(g.lane);
  if (of_keys) {
    pin(dy);
    write_wide(dy, g.factors.v, g.scratch(1), g.lane, g.maps.dqkv, row + 16 * g.warp,
               2 * g.work.heads + item.head, item.sequence);
  }
  turn_back(dx, g.work, row + g.row(), c);
  write_wide(dx, g.factors.qk, g.scratch(0), g.lane, g.maps.dqkv, row + 16 * g.warp,
             (of_keys ? g.work.heads : 0) + item.head, item.sequence);
}

// By one thread: an item's own rows, then its tiles, as room comes free.
__device__ void bring_item(const WideRoom& room, const WideMaps& maps, const WideWork& work,
                           const WideItem& item, WidePlace& at) {
  const int heads = work.heads, q = item.head, k = heads + item.head, v = 2 * heads + item.head;
  const uint32_t own = room.base + WideRoom::own;
  const int halves = min(2, work.tiles - 2 * item.block);
  announce(room.own_full(), halves * (WideRoom::stage + (item.keys ? 0 : 512)));
  for (int h = 0; h < halves; ++h) {
    const int row = (2 * item.block + h) * wide_tile;
    const uint32_t to = own + h * WideRoom::stage;
    copy_box(to, maps.qkv, room.own_full(), 0, row, item.keys ? k : q, item.sequence);
    if (item.keys) {
      copy_box(to + wide_panel, maps.qkv, room.own_full(), 0, row, v, item.sequence);
    } else {
      copy_box(to + wide_panel, maps.dout, room.own_full(), 0, row, q, item.sequence);
      copy_flat(room.base + WideRoom::own_stats + 512 * h, item.stats(work, 2 * item.block + h),
                512, room.own_full());
    }
  }
  const int first = item.first_tile(), end = item.end_tile(work);
  for (int i = first; i < end; ++i) {
    const int tile = item.keys ? i : end - 1 - i;
    const uint32_t full = room.full(at.stage), to = room.base + at.stage * WideRoom::stage;
    wait_barrier(room.empty(at.stage), at.phase ^ 1);
    announce(full, WideRoom::stage + (item.keys ? 512 : 0));
    copy_box(to, maps.qkv, full, 0, tile * wide_tile, item.keys ? q : k, item.sequence);
    if (item.keys) {
      copy_box(to + wide_panel, maps.dout, full, 0, tile * wide_tile, q, item.sequence);
      copy_flat(room.base + WideRoom::stats + 512 * at.stage, item.stats(work, tile), 512, full);
    } else {
      copy_box(to + wide_panel, maps.qkv, full, 0, tile * wide_tile, v, item.sequence);
    }
    at.next();
  }
}

__device__ void bring_all(const WideRoom& room, const WideMaps& maps, const WideWork& work) {
  WidePlace at;
  unsigned item = blockIdx.x;
  for (uint32_t phase = 0;; phase ^= 1) {
    wait_barrier(room.own_empty(), phase ^ 1);
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(room.item()), "r"(item) : "memory");
    if (item >= work.items) break;
    bring_item(room, maps, work, WideItem(work, item), at);
    item = gridDim.x + atomicAdd(work.next, 1);
  }
  arrive(room.own_full());
}

__global__ void __launch_bounds__(wide_threads, 1)
    wide_backward(WideWork work, WideFactors factors, const __grid_constant__ WideMaps maps) {
  extern __shared__ unsigned char shared[];
  const WideRoom room{(shared_address(shared) + 1023) / 1024 * 1024};
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    room.start();
    show_barriers();
  }
  __syncthreads();
  if (warp >= wide_users) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x == 32 * wide_users) bring_all(room, maps, work);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    WideGroup group{room, maps, work, factors, warp / 4, warp % 4, lane, {}};
    for (uint32_t phase = 0;; phase ^= 1) {
      wait_barrier(room.own_full(), phase);
      unsigned number;
      asm volatile("ld.shared.u32 %0, [%1];" : "=r"(number) : "r"(room.item()) : "memory");
      if (number >= work.items) break;
      const WideItem item(work, number);
      if (item.keys)
        wide_gradients<true>(group, item);
      else
        wide_gradients<false>(group, item);
    }
    // Shared memory is read until here.
    if (lane == 0) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
}

// -lse and -delta / value by tiles, zeros beyond the sequence: eight lanes a row of 64.
__global__ void __launch_bounds__(256)
    wide_numbers(WideWork work, const bf16* out, const bf16* dout, const float* lse,
                 float to_base_2, float over_value, float* stats) {
  const int tile = blockIdx.x, head = blockIdx.y, sequence = blockIdx.z;
  if (threadIdx.x == 0 && tile + head + sequence == 0) *work.next = 0;
  const int64_t place = static_cast<int64_t>(sequence) * work.heads + head;
  stats += (place * work.tiles + tile) * 128;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int own = threadIdx.x / 8 + 32 * half, row = tile * wide_tile + own;
    float sum = 0.0f;
    if (row < work.time) {
      const int64_t at =
          ((static_cast<int64_t>(sequence) * work.time + row) * work.heads + head) * wide_head +
          threadIdx.x % 8 * 8;
      float x[8], y[8];
      load8(out + at, x);
      load8(dout + at, y);
#pragma unroll
      for (int e = 0; e < 8; ++e) sum += x[e] * y[e];
    }
    sum = group_sum<8>(sum);
    if (threadIdx.x % 8) continue;
    stats[own] = row < work.time ? -lse[place * work.time + row] * to_base_2 : 0.0f;
    stats[64 + own] = -sum * over_value;
  }
}

WideWork work_of(const WideHeads& s, float* scratch) {
  const int64_t tiles = blocks_for(s.rope.time, wide_tile), blocks = blocks_for(tiles, 2);
  const int64_t heads = s.rope.sequences * s.rope.heads;
  return {static_cast<int>(s.rope.time),
          static_cast<int>(s.rope.heads),
          static_cast<int>(tiles),
          static_cast<int>(blocks),
          static_cast<unsigned>(heads * 2 * blocks),
          s.cosine,
          s.sine,
          scratch,
          reinterpret_cast<unsigned*>(scratch + heads * tiles * 128)};
}

}  // namespace

bool takes_wide_heads_backward(const RopeShape& s) {
  return is_hopper() && s.head_dim == wide_head && s.heads == s.kv_heads &&
         s.fast == wide_head / 2 && s.heads < 65536 && s.sequences < 65536;
}

int64_t wide_heads_scratch(const RopeShape& s) {
  return s.sequences * s.heads * blocks_for(s.time, wide_tile) * 128 + 4;
}

void wide_heads_backward(const WideHeads& shape, const WideHeadsBackward& of, Stream stream) {
  const RopeShape& r = shape.rope;
  const WideWork work = work_of(shape, of.scratch);
  wide_numbers<<<dim3(work.tiles, work.heads, static_cast<unsigned>(r.sequences)), 256, 0,
                 stream>>>(work, static_cast<const bf16*>(of.out),
                           static_cast<const bf16*>(of.dout), of.lse, of.lse_to_base_2,
                           1.0f / of.value, of.scratch);
  const auto map = [&](const void* rows, int64_t parts, int box) {
    return tensor_map({rows, wide_head, r.time, parts, r.sequences, parts * wide_head, wide_head,
                       r.time * parts * wide_head, box});
  };
  const WideMaps maps{map(of.qkv, 3 * r.heads, wide_tile), map(of.dout, r.heads, wide_tile),
                      map(of.dqkv, 3 * r.heads, 16)};
  const WideFactors factors{shape.logit * 1.44269504f, of.qk * of.value * shape.logit, of.gradient};
  cudaFuncSetAttribute(wide_backward, cudaFuncAttributeMaxDynamicSharedMemorySize, WideRoom::bytes);
  const unsigned grid =
      work.items < processors() ? work.items : static_cast<unsigned>(processors());
  wide_backward<<<grid, wide_threads, WideRoom::bytes, stream>>>(work, factors, maps);
  check_launch();
}

}  // namespace rung::cuda

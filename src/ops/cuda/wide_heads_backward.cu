#include "ops/cuda/device.h"
#include "ops/cuda/wide_heads_backward.cuh"

namespace rung::cuda {
namespace {

struct WideMaps {
  CUtensorMap qkv, dout, dqkv, cosine, sine;
};

// A warpgroup's view.
struct WideGroup {
  const WideRoom& room;
  const WideMaps& maps;
  const WideWork& work;
  WideFactors factors;
  int group, warp, lane;  // warp within the group
  int half;               // of the item's own rows
  uint32_t phase;         // the item's number modulo 2
  WidePlace at;           // of the tile whose products come next

  __device__ uint32_t tile(int stage) const { return room.base + stage * WideRoom::stage; }
  __device__ uint32_t stats(int stage) const { return room.base + WideRoom::stats + 512 * stage; }
  __device__ void wait() const { wait_barrier(room.full(at.stage), at.phase); }
  __device__ void wait_next() const {
    WidePlace next = at;
    next.next();
    wait_barrier(room.full(next.stage), next.phase);
  }
  __device__ void done(int stage) const {
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
  __device__ uint32_t scratch(int panel) const {
    return room.base + WideRoom::scratch + (2 * group + panel) * wide_panel + warp * 16 * panel_row;
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

  __device__ __forceinline__ void load_own_rows(const WideGroup& g) {
    const uint32_t own = g.room.own_rows(g.half);
    load_own(a, own, g.warp, g.lane);
    load_own(b, own + wide_panel, g.warp, g.lane);
    if (of_keys) return;
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
  __device__ __forceinline__ void step(WideGroup& g, bool more) {
    float s[8][4], dp[8][4];
    const int before = g.at.stage, c = g.lane % 4;
    if (!first) g.at.next();
    const uint64_t next = describe(g.tile(g.at.stage), 0);
    wgmma_fence();
    start_scores(s, a, next);
    wgmma_commit();
    start_scores(dp, b, moved(next, wide_panel));
    if (first)
      wgmma_commit();
    else
      add_tile();
    rows = next;
    if (of_keys) lse.load_columns(g.stats(g.at.stage), c);
    wgmma_wait<1>();
    pin(s);
    to_powers<of_keys, first>(s, g.factors.scale, lse, g.row(), c);
    hold(s);
    if (more) g.wait_next();
    if (of_keys) delta.load_columns(g.stats(g.at.stage) + 256, c);
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
__device__ __forceinline__ void wide_gradients(WideGroup& g, const WideItem& item) {
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
  wait_written(g.lane);
  if (of_keys)
    write_wide(sums.dy, g.factors.v, g.scratch(1), g.lane, g.maps.dqkv, row + 16 * g.warp,
               2 * g.work.heads + item.head, item.sequence);
  g.wait_angles();
  if (g.work.turns) turn_back(sums.dx, g.room.own_angles(g.half), g.row(), g.lane % 4);
  g.done_with_angles();
  write_wide(sums.dx, g.factors.qk, g.scratch(0), g.lane, g.maps.dqkv, row + 16 * g.warp,
             (of_keys ? g.work.heads : 0) + item.head, item.sequence);
}

// By one thread: an item's own rows, its tiles as room comes free, and, when the item before is
// done with its own, the angles.
__device__ void bring_item(const WideRoom& room, const WideMaps& maps, const WideWork& work,
                           const WideItem& item, bool keys, uint32_t phase, WidePlace& at) {
  const int heads = work.heads, q = item.head, k = heads + item.head, v = 2 * heads + item.head;
  const int halves = min(2, work.tiles - 2 * item.block);
  announce(room.own_full(), halves * (WideRoom::stage + (keys ? 0 : 512)));
  for (int h = 0; h < halves; ++h) {
    const int row = (2 * item.block + h) * wide_tile;
    const uint32_t to = room.own_rows(h);
    copy_box(to, maps.qkv, room.own_full(), 0, row, keys ? k : q, item.sequence);
    if (keys) {
      copy_box(to + wide_panel, maps.qkv, room.own_full(), 0, row, v, item.sequence);
    } else {
      copy_box(to + wide_panel, maps.dout, room.own_full(), 0, row, q, item.sequence);
      copy_flat(room.own_numbers(h), item.stats(work, 2 * item.block + h), 512, room.own_full());
    }
  }
  const int count = item.tiles(work, keys);
  for (int i = 0; i < count; ++i) {
    const int tile = keys ? 2 * item.block + i : count - 1 - i;
    const uint32_t full = room.full(at.stage), to = room.base + at.stage * WideRoom::stage;
    wait_barrier(room.empty(at.stage), at.phase ^ 1);
    announce(full, WideRoom::stage + (keys ? 512 : 0));
    copy_box(to, maps.qkv, full, 0, tile * wide_tile, keys ? q : k, item.sequence);
    if (keys) {
      copy_box(to + wide_panel, maps.dout, full, 0, tile * wide_tile, q, item.sequence);
      copy_flat(room.base + WideRoom::stats + 512 * at.stage, item.stats(work, tile), 512, full);
    } else {
      copy_box(to + wide_panel, maps.qkv, full, 0, tile * wide_tile, v, item.sequence);
    }
    at.next();
  }
  if (!work.turns) return;
  wait_barrier(room.angles_empty(), phase ^ 1);
  announce(room.angles_full(), halves * WideRoom::stage);
  for (int h = 0; h < halves; ++h) {
    const int row = (2 * item.block + h) * wide_tile;
    copy_box(room.own_angles(h), maps.cosine, room.angles_full(), 0, row, 0, 0);
    copy_box(room.own_angles(h) + wide_panel, maps.sine, room.angles_full(), 0, row, 0, 0);
  }
}

__device__ void bring_all(const WideRoom& room, const WideMaps& maps, const WideWork& work,
                          const WideShare& share) {
  WidePlace at;
  unsigned number = share.late ? atomicAdd(share.next, 1) : share.first;
  for (uint32_t phase = 0;; phase ^= 1) {
    const unsigned next = atomicAdd(share.next, 1);  // early: the answer takes a while
    const WideItem item(work, number, share.keys);
    wait_barrier(room.own_empty(), phase ^ 1);
    item.store(room.item(), number < work.items);
    if (number >= work.items) return arrive(room.own_full());
    bring_item(room, maps, work, item, share.keys, phase, at);
    number = next;
  }
}

template <bool of_keys>
__device__ __forceinline__ void wide_items(WideGroup& group) {
  // The first half of keys and the second of queries have a tile more: groups take turns.
#pragma unroll 1
  for (;; group.phase ^= 1, group.half ^= 1) {
    wait_barrier(group.room.own_full(), group.phase);
    WideItem item;
    if (!item.load(group.room.item())) break;
    wide_gradients<of_keys>(group, item);
  }
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
  const WideShare share(work);
  __syncthreads();
  if (warp >= wide_users) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x == 32 * wide_users) bring_all(room, maps, work, share);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    WideGroup group{room, maps, work, factors, warp / 4, warp % 4, lane, warp / 4, 0, {}};
    if (share.keys)
      wide_items<true>(group);
    else
      wide_items<false>(group);
    // Shared memory is read until here.
    if (lane == 0) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
}

// -lse and -delta / value by tiles, zeros beyond the sequence: eight lanes a row of 64.
__global__ void __launch_bounds__(256)
    wide_numbers(WideWork work, const bf16* out, const bf16* dout, const float* lse,
                 float to_base_2, float over_value, float* stats) {
  const int tile = blockIdx.x, head = blockIdx.y, sequence = blockIdx.z;
  if (threadIdx.x < 2 && tile + head + sequence == 0)
    work.next[threadIdx.x] = WideShare::taken(work.blocks_at_once, threadIdx.x == 0);
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
          static_cast<unsigned>(heads * blocks),
          static_cast<unsigned>(processors()),
          s.cosine != nullptr,
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
  // A row of 32 numbers is one of 64 in bf16 to the copies; without angles nobody reads any.
  const auto angles = [&](const void* table) {
    return tensor_map({table ? table : of.qkv, wide_head, r.time, 1, 1, wide_head,
                       r.time * wide_head, r.time * wide_head, wide_tile});
  };
  const WideMaps maps{map(of.qkv, 3 * r.heads, wide_tile), map(of.dout, r.heads, wide_tile),
                      map(of.dqkv, 3 * r.heads, 16), angles(shape.cosine), angles(shape.sine)};
  const WideFactors factors{shape.logit * 1.44269504f, of.qk * of.value * shape.logit, of.gradient};
  cudaFuncSetAttribute(wide_backward, cudaFuncAttributeMaxDynamicSharedMemorySize, WideRoom::bytes);
  // Blocks that come late take what is left of either kind.
  wide_backward<<<2 * work.blocks_at_once, wide_threads, WideRoom::bytes, stream>>>(work, factors,
                                                                                    maps);
  check_launch();
}

}  // namespace rung::cuda

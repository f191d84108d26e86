// What a block of wide_heads_backward.h has in shared memory, its work, and what it does with
// registers at a tile's end.
#pragma once
#include "ops/cuda/hopper/wide_heads.cuh"
#include "ops/cuda/hopper/wide_heads_backward.h"

namespace rung::cuda {

// Two warpgroups own 64 rows each; of a third one a thread has tiles copied and two warps make
// numbers of queries.
constexpr int wide_threads = 384, wide_users = 8, wide_helpers = 2;

struct WideFactors {
  float scale;  // of products of queries and keys, to base 2
  float qk, v;  // of gradients
};

struct WideWork {
  int time, heads, tiles, blocks;  // tiles of 64 and blocks of 128 positions
  unsigned items;                  // of either kind
  unsigned blocks_at_once;         // that the device holds
  bool turns;                      // there are angles
  const float* made;  // [sequences, heads, tiles, 2, 64]: -lse (base 2), -delta / value; or null,
  const float* lse;   // then these are made of lse [sequences, heads, time] and rows here
  float to_base_2, over_value;  // -to_base_2 lse and -over_value delta are what is added
  int* taken;                   // items of keys and of queries but the first; blocks that ended
};

// A piece of work: 128 keys and the queries from them on, or 128 queries and the keys up to them. A
// head's pieces follow each other, long ones first.
struct WideItem {
  int head, sequence, block;
  WideItem() = default;
  __device__ WideItem(const WideWork& w, unsigned item, bool keys) {
    block = item % w.blocks;
    if (!keys) block = w.blocks - 1 - block;
    head = item / w.blocks % w.heads, sequence = item / w.blocks / w.heads;
  }
  // By way of shared memory; whether there is one.
  __device__ void store(uint32_t at, bool there) const {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(head), "r"(sequence),
                 "r"(block), "r"(static_cast<int>(there))
                 : "memory");
  }
  __device__ bool load(uint32_t at) {
    int there;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(head), "=r"(sequence), "=r"(block), "=r"(there)
                 : "r"(at)
                 : "memory");
    return there;
  }
  // From the block's own on, or down from them.
  __device__ int tiles(const WideWork& w, bool keys) const {
    return keys ? w.tiles - 2 * block : min(2 * block + 2, w.tiles);
  }
  __device__ int tile(const WideWork& w, bool keys, int i) const {
    return keys ? 2 * block + i : tiles(w, keys) - 1 - i;
  }
  __device__ const float* made(const WideWork& w, int tile) const {
    return w.made + (static_cast<int64_t>(sequence * w.heads + head) * w.tiles + tile) * 128;
  }
  // -lse to base 2 of a query, 0 beyond the sequence.
  __device__ float lse(const WideWork& w, int row) const {
    if (row >= w.time) return 0.0f;
    return -w.to_base_2 * w.lse[static_cast<int64_t>(sequence * w.heads + head) * w.time + row];
  }
};

// Which kind of items a block takes: four of seven those of keys, which have four products against
// three. Only blocks that have nothing left end, and those that come in their place take the other
// kind: in one block, registers would not do for both. (Threads of a late block that disagree about
// the kind do so because no keys are left, and get nothing.)
struct WideShare {
  bool keys, late;
  unsigned first;
  __device__ explicit WideShare(const WideWork& w) {
    const unsigned block = blockIdx.x, rest = block % 7;
    late = block >= w.blocks_at_once;
    keys = late ? begun(w, true) + *static_cast<volatile int*>(w.taken) < w.items : rest < 4;
    first = keys ? block / 7 * 4 + rest : block / 7 * 3 + rest - 4;
  }
  // Items of a kind that blocks begin with.
  __device__ static unsigned begun(const WideWork& w, bool keys) {
    const unsigned blocks = w.blocks_at_once;
    return keys ? blocks / 7 * 4 + min(blocks % 7, 4u) : blocks / 7 * 3 + max(blocks % 7, 4u) - 4;
  }
  __device__ unsigned take(const WideWork& w) const {
    return begun(w, keys) + atomicAdd(w.taken + (keys ? 0 : 1), 1);
  }
  // The last block leaves the counters as they were.
  __device__ static void end(const WideWork& w) {
    __threadfence();
    if (atomicAdd(w.taken + 2, 1) + 1 < static_cast<int>(gridDim.x)) return;
    for (int i = 0; i < wide_counters; ++i) w.taken[i] = 0;
  }
};

// Shared memory, from a multiple of 1,024 on: stages of two panels (q and dout, or k and v), panels
// of out (of tiles, or of own rows), own rows (for each half two panels), what is written (a panel
// a warpgroup), angles of own rows (for each half cosines and sines, a row of 32 numbers as long as
// one of 64 in bf16), numbers of queries (for each of 64 -lse to base 2, then -delta / value), the
// item, barriers.
struct WideRoom {
  static constexpr int stages = 7, outs = 3, two = 2 * wide_panel;
  static constexpr int out_rows = stages * two, own = out_rows + outs * wide_panel;
  static constexpr int scratch = own + 2 * two, angles = scratch + two, stats = angles + 2 * two;
  static constexpr int own_stats = stats + stages * 512, barriers = own_stats + 1024;
  static constexpr int bytes = 1024 + barriers + 16 + 8 * (3 * stages + outs + 5);
  uint32_t base;
  __device__ uint32_t tile(int i) const { return base + i * two; }
  __device__ uint32_t out(int i) const { return base + out_rows + i * wide_panel; }
  __device__ uint32_t numbers(int i) const { return base + stats + i * 512; }
  __device__ uint32_t own_rows(int half) const { return base + own + half * two; }
  __device__ uint32_t own_numbers(int half) const { return base + own_stats + half * 512; }
  __device__ uint32_t own_angles(int half) const { return base + angles + half * two; }
  __device__ uint32_t item() const { return base + barriers; }
  // Barriers: a stage is full, free, has its numbers; a panel of out is free; the same of own rows.
  __device__ uint32_t full(int i) const { return base + barriers + 16 + 8 * i; }
  __device__ uint32_t empty(int i) const { return full(stages + i); }
  __device__ uint32_t numbered(int i) const { return full(2 * stages + i); }
  __device__ uint32_t out_empty(int i) const { return full(3 * stages + i); }
  __device__ uint32_t own_full() const { return full(3 * stages + outs); }
  __device__ uint32_t own_empty() const { return own_full() + 8; }
  __device__ uint32_t own_numbered() const { return own_full() + 16; }
  __device__ uint32_t angles_full() const { return own_full() + 24; }
  __device__ uint32_t angles_empty() const { return own_full() + 32; }
  // Where lanes have read rows or numbers themselves, each of them says so.
  __device__ void start(bool keys, bool made) const {
    for (int i = 0; i < stages; ++i) {
      start_barrier(full(i), 1);
      start_barrier(empty(i), keys ? 32 * wide_users : wide_users);
      start_barrier(numbered(i), 32 * wide_helpers);
    }
    for (int i = 0; i < outs; ++i) start_barrier(out_empty(i), 32 * wide_helpers);
    start_barrier(own_full(), 1);
    start_barrier(own_empty(), 32 * (wide_users + (made ? 0 : wide_helpers)));
    start_barrier(own_numbered(), 32 * wide_helpers);
    start_barrier(angles_full(), 1);
    start_barrier(angles_empty(), wide_users);
  }
};
using WidePlace = RingPlace<WideRoom::stages>;
using OutPlace = RingPlace<WideRoom::outs>;

__device__ inline float2 shared_pair(uint32_t at) {
  float2 x;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "r"(at) : "memory");
  return x;
}
__device__ inline float shared_number(uint32_t at) {
  float x;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(x) : "r"(at) : "memory");
  return x;
}

__device__ inline void store_number(uint32_t at, float x) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(at), "f"(x) : "memory");
}

// A warp's 16 rows of a panel as A operands.
__device__ inline void load_own(Quad (&to)[4], uint32_t panel, int warp, int lane) {
#pragma unroll
  for (int k = 0; k < 4; ++k)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[k][0]), "=r"(to[k][1]), "=r"(to[k][2]), "=r"(to[k][3])
                 : "r"(panel + piece_at(wide_tile, 16 * warp + lane % 16, 2 * k + lane / 16))
                 : "memory");
}

// sum = own rows^T, started; rows are a panel of a stage.
__device__ inline void start_scores(float (&sum)[8][4], const Quad (&own)[4], uint64_t rows) {
  multiply<0>(sum, own[0], rows);
#pragma unroll
  for (int k = 1; k < 4; ++k) multiply_add<0>(sum, own[k], moved(rows, 32 * k));
}
// sum += p rows, started.
__device__ inline void add_mixture(float (&sum)[8][4], const Quad (&p)[4], uint64_t rows) {
#pragma unroll
  for (int k = 0; k < 4; ++k) multiply_add<1>(sum, p[k], moved(rows, 16 * panel_row * k));
}

// Turns gradients of a lane's two rows, `row` of the half and eight further on, back by `angles`:
// of a pair one element is four matrices further.
__device__ inline void turn_back(float (&x)[8][4], uint32_t angles, int row, int c) {
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const uint32_t at = angles + piece_at(wide_tile, row + 8 * r, 2 * n + c / 2) + c % 2 * 8;
      const float2 cosine = shared_pair(at), sine = shared_pair(at + wide_panel);
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const float co = e ? cosine.y : cosine.x, si = e ? sine.y : sine.x;
        float &a = x[n][2 * r + e], &b = x[n + 4][2 * r + e];
        const float first = a * co + b * si;
        b = b * co - a * si;
        a = first;
      }
    }
}

// A warp's 16 rows times `factor` into `scratch` and from there to their place.
__device__ inline void write_wide(const float (&x)[8][4], float factor, uint32_t scratch, int lane,
                                  const CUtensorMap& map, int row, int part, int sequence) {
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const uint32_t at = scratch + piece_at(wide_tile, lane % 16, 2 * k + lane / 16);
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(at),
                 "r"(pack2(x[2 * k][0] * factor, x[2 * k][1] * factor)),
                 "r"(pack2(x[2 * k][2] * factor, x[2 * k][3] * factor)),
                 "r"(pack2(x[2 * k + 1][0] * factor, x[2 * k + 1][1] * factor)),
                 "r"(pack2(x[2 * k + 1][2] * factor, x[2 * k + 1][3] * factor))
                 : "memory");
  }
  show_copies();
  __syncwarp();
  if (lane > 0) return;
  write_box(map, scratch, 0, row, part, sequence);
  commit_writes();
}
// Until what the warp has written before has left its scratch memory.
__device__ inline void wait_scratch(int lane) {
  if (lane == 0) wait_writes();
  __syncwarp();
}

}  // namespace rung::cuda

// What powers_product.cu multiplies: tiles and slices, how they come into shared memory, and how a
// warpgroup walks over them.
#pragma once
#include "ops/cuda/hopper/powers_loss.h"
#include "ops/cuda/hopper/tensor_copy.cuh"
#include "ops/cuda/hopper/wgmma.cuh"

namespace rung::cuda {

constexpr int powers_rows = 128, slice_columns = 64;
constexpr int rows_panel = powers_rows * panel_row;  // bytes of a slice of x
constexpr int powers_threads = 384, powers_users = 8;
// A warp's exponentials on their way out, 16 rows of 64 columns.
constexpr int buffer_columns = 64, buffer_bytes = 16 * 2 * buffer_columns;

// Tiles of so many blocks of eight columns, for products of so many slices (0: any number), of
// which `resident` of x are kept.
template <int slices_, int blocks_, int resident_, int stages_>
struct PowersTiles {
  static constexpr int slices = slices_, blocks = blocks_, resident = resident_, stages = stages_;
  static constexpr int columns = 8 * blocks, parts = blocks / 4;
  static constexpr int tile_bytes = columns * panel_row;
  static constexpr int stage_bytes = tile_bytes > rows_panel ? tile_bytes : rows_panel;
  static constexpr int ring_at = resident * rows_panel;
  static constexpr int buffers_at = ring_at + stages * stage_bytes;
  static constexpr int barriers_at = buffers_at + powers_users * buffer_bytes;
  static constexpr bool streams = slices == 0 || slices > resident;
  static_assert(stages >= (streams ? 4 : 2));  // two slices of both operands are held at a time
  static constexpr int bytes = 1024 + barriers_at + 16 * stages + 16;
};

struct PowersTask {
  int rows, vocabulary, slices, tiles;
  int groups, parts, items;  // groups: of a member's rows, 128 at a time
  float scale;               // of products to base 2
  int64_t target_stride;
  const int64_t* targets;
  float *totals, *hits;
};
struct PowersMaps {
  CUtensorMap rows, weight, q;
};

// A place in the ring of stages.
template <class C>
struct PowersRing {
  uint32_t start;
  uint32_t stage = 0, phase = 0;

  __device__ uint32_t at() const { return start + C::ring_at + stage * C::stage_bytes; }
  __device__ uint32_t full() const { return start + C::barriers_at + 8 * stage; }
  __device__ uint32_t empty() const { return full() + 8 * C::stages; }
  __device__ uint32_t rows_came() const { return start + C::barriers_at + 16 * C::stages; }
  __device__ uint32_t rows_free() const { return rows_came() + 8; }
  __device__ void next() {
    if (++stage == C::stages) stage = 0, phase ^= 1;
  }
  __device__ void prepare() const {
    for (int i = 0; i < C::stages; ++i) {
      start_barrier(start + C::barriers_at + 8 * i, 1);
      start_barrier(start + C::barriers_at + 8 * (C::stages + i), powers_users);
    }
    start_barrier(rows_came(), 1);
    start_barrier(rows_free(), powers_users);
    show_barriers();
  }
  // The copying thread's: a free stage, for which bytes are announced.
  __device__ void claim(uint32_t bytes) const {
    wait_barrier(empty(), phase ^ 1);
    announce(full(), bytes);
  }
  __device__ void wait() const { wait_barrier(full(), phase); }
  // By whole warps: this one is done with the stage.
  __device__ void release(int lane) {
    if (lane == 0) arrive(empty());
    next();
  }
};

// A block's rows of a member, and tiles [begin, end).
struct PowersItem {
  int member, row, part, begin, end;
  __device__ PowersItem(const PowersTask& s, int index) {
    const int group = index / s.parts;
    part = index % s.parts;
    member = group / s.groups;
    row = group % s.groups * powers_rows;
    begin = static_cast<int>(static_cast<int64_t>(s.tiles) * part / s.parts);
    end = static_cast<int>(static_cast<int64_t>(s.tiles) * (part + 1) / s.parts);
  }
};

// By one thread: all that the block multiplies, in order.
template <class C>
__device__ void bring_powers(const PowersTask& s, const PowersMaps& maps, PowersRing<C> ring) {
  const int slices = C::slices ? C::slices : s.slices, resident = min(C::resident, slices);
  uint32_t free_phase = 1;
  for (int index = blockIdx.x; index < s.items; index += gridDim.x, free_phase ^= 1) {
    const PowersItem item(s, index);
    wait_barrier(ring.rows_free(), free_phase);
    announce(ring.rows_came(), resident * rows_panel);
    for (int k = 0; k < resident; ++k)
      copy_box(ring.start + k * rows_panel, maps.rows, ring.rows_came(), k * slice_columns,
               item.row, 0, item.member);
    for (int tile = item.begin; tile < item.end; ++tile)
      for (int k = 0; k < slices; ++k) {
        if (C::streams && k >= resident) {
          ring.claim(rows_panel);
          copy_box(ring.at(), maps.rows, ring.full(), k * slice_columns, item.row, 0, item.member);
          ring.next();
        }
        ring.claim(C::tile_bytes);
        copy_box(ring.at(), maps.weight, ring.full(), k * slice_columns, tile * C::columns, 0,
                 item.member);
        ring.next();
      }
  }
}

__device__ inline void multiply_step(float (&sum)[16][4], uint64_t a, uint64_t b, bool adds) {
  if (adds)
    multiply_add(sum, a, b);
  else
    multiply(sum, a, b);
}
__device__ inline void multiply_step(float (&sum)[24][4], uint64_t a, uint64_t b, bool adds) {
  multiply(sum, a, b, adds);
}

// A warpgroup's walk over slices: where it reads, and what it has yet to give back.
template <class C>
struct PowersWalk {
  PowersRing<C> ring, behind;
  uint32_t rows;  // the warpgroup's own, in shared memory
  int lane;

  // Starts the product of slice k of so many of x that are kept; the slice before is waited for and
  // given back.
  template <bool follows>
  __device__ void start(float (&sum)[C::blocks][4], int k, bool adds, int kept, int slices) {
    uint32_t x = rows + k * rows_panel;
    if (C::streams && k >= kept) {
      ring.wait();
      x = ring.at() + (rows - ring.start);
      ring.next();
    }
    ring.wait();
    const uint64_t a = describe(x, 0), b = describe(ring.at(), 0);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < 4; ++i)
      multiply_step(sum, moved(a, 32 * i), moved(b, 32 * i), adds || i > 0);
    wgmma_commit();
    ring.next();
    if constexpr (follows) {
      wgmma_wait<1>();
      give_back(k > 0 ? k - 1 : slices - 1, kept);
    }
  }
  __device__ void give_back(int k, int kept) {
    if (C::streams && k >= kept) behind.release(lane);
    behind.release(lane);
  }
};

}  // namespace rung::cuda

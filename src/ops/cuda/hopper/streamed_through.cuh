// The gradient through the next norm, and its map, at the start of the ffn's backward pass
// (streamed_mlp.h): a block makes the gradient of its rows, dout, where it is needed.
#pragma once
#include "ops/cuda/hopper/sliced_mlp.h"
#include "ops/cuda/hopper/streamed_rows.cuh"

namespace rung::cuda {

// dout = around + the norm's gradient of factor map^T dy, or without outputs of a map of factor dy;
// dout null: it is given.
struct ThroughNext {
  bf16 *dout, *unit;  // unit = RMSNorm(x), unless it is null
  int out;
  float epsilon, factor;
  bool around;
};
struct ThroughMaps {
  CUtensorMap x, around, dy, map;
};

// Slices of 64 outputs: the map's rows, then the block's columns of dy. Without a map all of dy.
struct ThroughSlices {
  static constexpr int outputs = 64, panel_bytes = outputs * panel_row;
  static constexpr int map_bytes = long_panels * panel_bytes;
  static constexpr int stages = 2, stage_bytes = map_bytes + streamed_panel;
  static constexpr int bytes = stages * stage_bytes;
  static_assert(streamed_rows_bytes <= bytes);
  using Ring = StageRing<stages, stage_bytes>;
  // Behind its ring's barriers: the sums are made, so that the ring's place is free; dout is made,
  // so that the norm's is; what takes that place has come.
  static constexpr int added_at = Ring::barrier_bytes, made_at = added_at + 8,
                       came_at = made_at + 8, barrier_bytes = came_at + 8;
};

inline ThroughNext through_next_of(const NextMapGradient* next) {
  if (!next) return {};
  return {static_cast<bf16*>(next->dx),
          static_cast<bf16*>(next->unit),
          next->map ? static_cast<int>(next->out) : 0,
          next->epsilon,
          next->dinput,
          next->around != nullptr};
}
inline ThroughMaps through_maps(const MlpShape& s, const NextMapGradient& next) {
  const auto rows = [&](const void* which) {
    return rows_map(which, s.members, s.rows, s.rows * long_row);
  };
  ThroughMaps maps{};
  maps.x = rows(next.x);
  if (next.around) maps.around = rows(next.around);
  if (!next.map) {
    maps.dy = rows(next.dy);
    return maps;
  }
  const int64_t made = s.rows * next.out;
  maps.dy =
      tensor_map({next.dy, next.out, s.rows, 1, s.members, next.out, made, made, streamed_rows});
  maps.map = tensor_map({next.map, long_row, next.out, 1, s.members, long_row, next.out * long_row,
                         next.map_stride, ThroughSlices::outputs});
  return maps;
}

// By one thread, before the block synchronises; show_barriers follows.
__device__ inline void start_through(uint32_t data, uint32_t barriers) {
  ThroughSlices::Ring{data, barriers}.start();
  start_barrier(barriers + ThroughSlices::added_at, streamed_users);
  start_barrier(barriers + ThroughSlices::made_at, streamed_users);
  start_barrier(barriers + ThroughSlices::came_at, 1);
}
// By that thread: x and `around` to where rows and dout are; they come by `came`.
__device__ inline void bring_first_rows(const ThroughNext& s, const ThroughMaps& maps, uint32_t to,
                                        uint32_t came, int begin) {
  announce(came, s.around ? 2 * streamed_rows_bytes : streamed_rows_bytes);
  copy_long_rows(to, maps.x, came, begin);
  if (s.around) copy_long_rows(to + streamed_rows_bytes, maps.around, came, begin);
}

// By the thread that copies.
__device__ inline void bring_through(ThroughSlices::Ring ring, const ThroughMaps& maps, int out,
                                     int begin) {
  using C = ThroughSlices;
  if (out == 0) {
    announce(ring.full(), streamed_rows_bytes);
    copy_long_rows(ring.at(), maps.dy, ring.full(), begin);
  }
  for (int first = 0; first < out; first += C::outputs, ring.next()) {
    ring.wait_empty();
    announce(ring.full(), C::stage_bytes);
#pragma unroll
    for (int panel = 0; panel < long_panels; ++panel)
      copy_own(ring.at() + panel * C::panel_bytes, maps.map, ring.full(), panel * panel_columns,
               first);
    copy_own(ring.at() + C::map_bytes, maps.dy, ring.full(), first, begin);
  }
}

// du = map^T dy of a warp's rows, or dy.
__device__ inline void add_through(float (&du)[32][4], ThroughSlices::Ring ring,
                                   const unsigned char* places, int out, int row, int lane) {
  using C = ThroughSlices;
  if (out == 0) {
    ring.wait();
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int n = 0; n < 32; ++n) {
        const uint32_t pair = *reinterpret_cast<const uint32_t*>(
            places + piece_at(streamed_rows, row + lane / 4 + 8 * r, n) + lane % 4 * 4);
        du[n][2 * r] = __uint_as_float(pair << 16);
        du[n][2 * r + 1] = __uint_as_float(pair & 0xffff0000u);
      }
    return;
  }
#pragma unroll 1
  for (int first = 0; first < out; first += C::outputs, ring.next()) {
    ring.wait();
    const uint64_t lines = describe(ring.at(), C::panel_bytes),
                   dy = describe(ring.at() + C::map_bytes + row / 64 * 64 * panel_row, 0);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < C::outputs / 16; ++k)
      multiply_add<1>(du, moved(dy, k * 32), moved(lines, k * 16 * panel_row));
    wgmma_commit();
    wgmma_wait<0>();
    pin(du);
    ring.done(lane);
  }
}

// dout of a warp's 16 rows, from `row` on, in place of `around` behind `rows`, which hold x; also
// in global memory. `places`: the ring's.
__device__ inline void make_dout(const ThroughNext& s, ThroughSlices::Ring ring, uint32_t barriers,
                                 unsigned char* rows, const unsigned char* places, float* rstd,
                                 int row, int begin, int end, int lane) {
  using C = ThroughSlices;
  const int64_t member = static_cast<int64_t>(blockIdx.y) * end * long_row;
  unsigned char* const dout = rows + streamed_rows_bytes;
  if (!s.around)
#pragma unroll 4
    for (int i = 0; i < 16; ++i)
      *reinterpret_cast<uint4*>(dout + piece_at(streamed_rows, row + i, lane)) =
          make_uint4(0, 0, 0, 0);
  normalise_rows<1>(
      rows, row, s.epsilon, s.unit ? s.unit + member : nullptr,
      [&](int at, float scale) { rstd[at] = scale; }, begin, end);
  __syncwarp();
  float du[32][4] = {};
  add_through(du, ring, places, s.out, row, lane);
  __syncwarp();
  if (lane == 0) arrive(barriers + C::added_at);
  finish_long_rows({s.factor, 1.0f}, du, rows, dout, rstd, row, lane);
  show_copies();
  __syncwarp();
  if (lane == 0) arrive(barriers + C::made_at);
  write_long_rows(dout, s.dout + member, row, begin, end, lane);
}

}  // namespace rung::cuda

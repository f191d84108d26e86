// What both passes of sliced_mlp.h share: where rows and slices lie in shared memory.
#pragma once
#include "ops/cuda/curve.cuh"
#include "ops/cuda/slice_ring.cuh"
#include "ops/cuda/sliced_mlp.h"
#include "ops/cuda/wide_rows.cuh"

namespace rung::cuda {

constexpr int slice_units = 64;

// A block of two warpgroups, of 64 rows each; `split`, where rows are few: of the same 64 rows,
// every other slice each. Two buffers of rows, then a ring of slices: a slice is rows of the first
// matrix (gates, then their partners) as two panels and columns of the second as one.
template <Curve curve, bool split_>
struct Sliced {
  static constexpr bool split = split_;
  static constexpr int threads = 256, own = split ? 64 : 128, stages = split ? 4 : 3;
  static constexpr int step = split ? 2 : 1;   // from a warpgroup's slice to its next
  static constexpr int users = split ? 4 : 8;  // warps that read a slice
  static constexpr int parts = gated<curve> ? 2 : 1;
  static constexpr int rows_bytes = own * wide_row * 2;
  static constexpr int first_rows = parts * slice_units;
  static constexpr int first_bytes = first_rows * wide_row * 2;
  static constexpr int slice_bytes = first_bytes + wide_row * slice_units * 2;
  static constexpr int bytes = 1024 + 2 * rows_bytes + stages * slice_bytes + own * 4 + stages * 16;
};

// What both passes read.
struct SlicedParts {
  const bf16 *first, *second;
  int64_t first_stride, second_stride;
  int rows, inner, slices;
  float first_factor, slope, activation;
};

inline SlicedParts sliced_parts(const MlpShape& shape, const void* first, const void* second,
                                float first_factor, float activation) {
  return {static_cast<const bf16*>(first),
          static_cast<const bf16*>(second),
          shape.first_stride,
          shape.second_stride,
          static_cast<int>(shape.rows),
          static_cast<int>(shape.inner),
          static_cast<int>((shape.inner + slice_units - 1) / slice_units),
          first_factor,
          shape.slope,
          activation};
}

// Both matrices as the copies want them.
struct SliceMaps {
  CUtensorMap first, second;
};
template <class C>
SliceMaps slice_maps(const MlpShape& s, const void* first, const void* second) {
  return {tensor_map({first, wide_row, s.inner, C::parts, s.members, wide_row, s.inner * wide_row,
                      s.first_stride, slice_units}),
          tensor_map({second, s.inner, wide_row, 1, s.members, s.inner, s.inner * wide_row,
                      s.second_stride, wide_row})};
}

// The matrices, and where there is one a square map [128, 128] beside them.
struct MappedSlices {
  SliceMaps slices;
  CUtensorMap map;
};
template <class C>
MappedSlices mapped_slices(const MlpShape& s, const void* first, const void* second,
                           const void* map, int64_t stride) {
  MappedSlices maps{slice_maps<C>(s, first, second), {}};
  if (map)
    maps.map = tensor_map(
        {map, wide_row, wide_row, 1, s.members, wide_row, wide_row * wide_row, stride, wide_row});
  return maps;
}

// The map of the block's member as two panels; by one thread.
__device__ inline void load_map(uint32_t to, const CUtensorMap& map, uint32_t barrier) {
  announce(barrier, wide_row * wide_row * 2);
#pragma unroll
  for (int panel = 0; panel < 2; ++panel)
    copy_box(to + panel * wide_row * panel_row, map, barrier, panel * panel_columns, 0, 0,
             static_cast<int>(blockIdx.y));
}

// Slice i of the block's member into the ring; by one thread.
template <class C>
__device__ void load_slice(const Ring<C>& ring, const SliceMaps& maps, int i) {
  ring.announce_slice(i);
  const int unit = i * slice_units, member = static_cast<int>(blockIdx.y);
#pragma unroll
  for (int part = 0; part < C::parts; ++part)
#pragma unroll
    for (int panel = 0; panel < 2; ++panel)
      copy_box(ring.slice(i) + (panel * C::first_rows + part * slice_units) * panel_row, maps.first,
               ring.full(i), panel * panel_columns, unit, part, member);
  copy_box(ring.slice(i) + C::first_bytes, maps.second, ring.full(i), unit, 0, 0, member);
}

// Of two warpgroups with rows of their own the second begins its first slice when the first has its
// products: from then on one computes curves while the other multiplies.
template <class C>
__device__ inline void begin_later(int group) {
  if (!C::split && group == 1) asm volatile("bar.sync 1, 256;" ::: "memory");
}
template <class C>
__device__ inline void let_begin(int group) {
  if (!C::split && group == 0) asm volatile("bar.arrive 1, 256;" ::: "memory");
}

// Of split slices: the second warpgroup's sum is added to the first's, by way of `shared`, which
// nobody uses any more. Returns whether this warpgroup goes on.
template <class C>
__device__ inline bool join_groups(float (&sum)[16][4], unsigned char* shared, int group) {
  if constexpr (!C::split) return true;
  float4* const at = reinterpret_cast<float4*>(shared) + threadIdx.x % 128;
  __syncthreads();
  if (group == 1)
#pragma unroll
    for (int i = 0; i < 16; ++i)
      at[128 * i] = make_float4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
  __syncthreads();
  if (group == 1) return false;
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const float4 other = at[128 * i];
    sum[i][0] += other.x, sum[i][1] += other.y, sum[i][2] += other.z, sum[i][3] += other.w;
  }
  return true;
}

// The products of 64 rows (of panels of C::own rows, at `rows`) with the first matrix's slice,
// started: pre = rows first^T.
template <class C>
__device__ void start_first(float (&pre)[C::first_rows / 8][4], uint64_t rows, uint64_t first) {
#pragma unroll
  for (int k = 0; k < wide_row / 16; ++k) {
    const uint64_t a = moved(rows, k / 4 * C::own * panel_row + k % 4 * 32);
    const uint64_t b = moved(first, k / 4 * C::first_rows * panel_row + k % 4 * 32);
    if (k == 0)
      multiply(pre, a, b);
    else
      multiply_add(pre, a, b);
  }
}

}  // namespace rung::cuda

// What both passes of sliced_mlp.h share: where rows and slices lie in shared memory.
#pragma once
#include "ops/cuda/curve.cuh"
#include "ops/cuda/slice_ring.cuh"
#include "ops/cuda/sliced_mlp.h"
#include "ops/cuda/wide_rows.cuh"

namespace rung::cuda {

// How a block shares its work. `three` warpgroups of 64 rows each: where there are rows enough for
// many such blocks; `pair`: two; `split`, where rows are few: three of the same 64 rows, every
// third slice each.
enum class Form { split, pair, three };

// Two buffers of rows, then a ring of slices: a slice is rows of the first matrix (gates, then
// their partners) as two panels and columns of the second as one. Three warpgroups have registers
// for slices of 32 units and their partners only.
template <Curve curve_, Form form_>
struct Sliced {
  static constexpr Curve curve = curve_;
  static constexpr Form form = form_;
  static constexpr bool split = form == Form::split, three = form == Form::three,
                        pair = form == Form::pair;
  static constexpr int parts = gated<curve> ? 2 : 1, units = !pair && parts == 2 ? 32 : 64;
  static constexpr int groups = pair ? 2 : 3, threads = 128 * groups;
  static constexpr int own = split ? 64 : 64 * groups;
  static constexpr int stages = split ? 3 + parts : three && parts == 2 ? 4 : 3;
  static constexpr int step = split ? groups : 1;       // from a warpgroup's slice to its next
  static constexpr int users = split ? 4 : 4 * groups;  // warps that read a slice
  static constexpr int lag = split ? 0 : stages == 4 ? 2 : 1;  // slices that others may be behind
  static constexpr int rows_bytes = own * wide_row * 2;
  static constexpr int first_rows = parts * units;
  static constexpr int first_bytes = first_rows * wide_row * 2;
  static constexpr int slice_bytes = first_bytes + wide_row * units * 2;
  static constexpr int map_stages = (wide_row * wide_row * 2 + slice_bytes - 1) / slice_bytes;
  static constexpr int barriers_at = 2 * rows_bytes + stages * slice_bytes + own * 4;
  // Behind the barriers: of split slices where the sums of the warpgroups but the first are joined,
  // and, before that, where a warp turns what it writes.
  static constexpr int sums_at = barriers_at + stages * 16 + 16;
  static constexpr int staged_all = threads / 32 * staged_bytes;
  static constexpr int sums_bytes = split ? (groups - 1) * 64 * wide_row * 4 : staged_all;
  static_assert(sums_bytes >= staged_all);
  static constexpr int bytes = 1024 + sums_at + sums_bytes;
};

// Calls f with a Sliced: three warpgroups where every multiprocessor has two such blocks or more.
template <class F>
void with_form(const MlpShape& shape, F&& f) {
  with_curve(shape.curve, [&](auto curve) {
    constexpr Curve c = decltype(curve)::value;
    using Three = Sliced<c, Form::three>;
    if (shape.members * shape.rows <= 64 * processors())
      f(Sliced<c, Form::split>());
    else if (blocks_for(shape.rows, Three::own) * shape.members >= 2 * processors())
      f(Three());
    else
      f(Sliced<c, Form::pair>());
  });
}

// What both passes read.
struct SlicedParts {
  const bf16 *first, *second;
  int64_t first_stride, second_stride;
  int rows, inner, slices;
  float first_factor, slope, activation;
};

template <class C>
SlicedParts sliced_parts(const MlpShape& shape, const void* first, const void* second,
                         float first_factor, float activation) {
  return {static_cast<const bf16*>(first),
          static_cast<const bf16*>(second),
          shape.first_stride,
          shape.second_stride,
          static_cast<int>(shape.rows),
          static_cast<int>(shape.inner),
          static_cast<int>((shape.inner + C::units - 1) / C::units),
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
                      s.first_stride, C::units}),
          tensor_map({second, s.inner, wide_row, 1, s.members, s.inner, s.inner * wide_row,
                      s.second_stride, wide_row, C::units})};
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

// A panel of the map of the block's member; by one thread.
__device__ inline void load_map_panel(uint32_t to, const CUtensorMap& map, uint32_t barrier,
                                      int panel) {
  copy_box(to, map, barrier, panel * panel_columns, 0, 0, static_cast<int>(blockIdx.y));
}

// Slice i of the block's member into the ring; by one thread.
template <class C>
__device__ void load_slice(const Ring<C>& ring, const SliceMaps& maps, int i) {
  ring.announce_slice(i);
  const int unit = i * C::units, member = static_cast<int>(blockIdx.y);
#pragma unroll
  for (int part = 0; part < C::parts; ++part)
#pragma unroll
    for (int panel = 0; panel < 2; ++panel)
      copy_box(ring.slice(i) + (panel * C::first_rows + part * C::units) * panel_row, maps.first,
               ring.full(i), panel * panel_columns, unit, part, member);
  copy_box(ring.slice(i) + C::first_bytes, maps.second, ring.full(i), unit, 0, 0, member);
}

// The second matrix's columns of the slice at `at`.
template <class C>
__device__ inline uint64_t describe_second(uint32_t at) {
  return C::units == 64 ? describe(at + C::first_bytes, 0) : describe_half(at + C::first_bytes);
}

// A warpgroup with rows of its own begins its first slice when the one before it has its products:
// from then on one computes curves while another multiplies.
template <class C>
__device__ inline void begin_later(int group) {
  if (!C::split && group > 0) asm volatile("bar.sync %0, 256;" ::"r"(group) : "memory");
}
template <class C>
__device__ inline void let_begin(int group) {
  if (!C::split && group + 1 < C::groups)
    asm volatile("bar.arrive %0, 256;" ::"r"(group + 1) : "memory");
}

// Of split slices: the other warpgroups' sums are added to the first's in order, by way of
// `shared`. Returns whether this warpgroup goes on.
template <class C>
__device__ inline bool join_groups(float (&sum)[16][4], unsigned char* shared, int group) {
  if constexpr (!C::split) return true;
  float4* const at = reinterpret_cast<float4*>(shared) + threadIdx.x % 128;
  __syncthreads();  // nothing is turned there any more
  if (group > 0)
#pragma unroll
    for (int i = 0; i < 16; ++i)
      at[128 * (16 * (group - 1) + i)] = make_float4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
  __syncthreads();
  if (group > 0) return false;
#pragma unroll 1
  for (int other = 0; other < C::groups - 1; ++other)
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      if (i % 4 == 0) asm volatile("" ::: "memory");  // or all would be read at once
      const float4 more = at[128 * (16 * other + i)];
      sum[i][0] += more.x, sum[i][1] += more.y, sum[i][2] += more.z, sum[i][3] += more.w;
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

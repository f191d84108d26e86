// What both passes of sliced_mlp.h share: where rows and slices lie in shared memory.
#pragma once
#include <numeric>

#include "ops/cuda/curve.cuh"
#include "ops/cuda/hopper/shared_rows.cuh"
#include "ops/cuda/hopper/slice_ring.cuh"
#include "ops/cuda/hopper/sliced_mlp.h"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {

// How blocks share their work. `pair`: two warpgroups of 64 rows each. Where rows are few,
// warpgroups take turns with the slices of the same 64 rows: the three of a block (`split`) or,
// forward, the six of two blocks, a cluster (`spread`; backward that leaves no room for the sums of
// weights' gradients that run beside).
enum class Form { spread, split, pair };

// Two buffers of rows, then a ring of slices: a slice is rows of the first matrix (gates, then
// their partners) as two panels and columns of the second as one.
template <Curve curve_, Form form_>
struct Sliced {
  static constexpr Curve curve = curve_;
  static constexpr Form form = form_;
  static constexpr bool spread = form == Form::spread, split = form != Form::pair;
  static constexpr int parts = gated<curve> ? 2 : 1, units = split && parts == 2 ? 32 : 64;
  static constexpr int groups = split ? 3 : 2, threads = 128 * groups;
  static constexpr int blocks = spread ? 2 : 1;  // that share rows, every other slice each
  static constexpr int own = split ? 64 : 64 * groups;
  static constexpr int stages = spread ? 2 + 2 * parts : split ? 3 + parts : 3;
  static constexpr int step = split ? groups : 1;       // from a warpgroup's slice to its next
  static constexpr int users = split ? 4 : 4 * groups;  // warps that read a slice
  // Two warpgroups take turns before the slices, three with these.
  static constexpr int barrier_pairs = split ? std::lcm(stages, 6) : stages;
  static constexpr int lag = split ? 0 : 1;  // slices that others may be behind
  static constexpr int rows_bytes = own * wide_row * 2;
  static constexpr int first_rows = parts * units;
  static constexpr int first_bytes = first_rows * wide_row * 2;
  static constexpr int slice_bytes = first_bytes + wide_row * units * 2;
  static constexpr int map_bytes = wide_row * wide_row * 2;
  static constexpr int ring_at = 2 * rows_bytes, rstd_at = ring_at + stages * slice_bytes;
  // The map takes the place of slices, or has one of its own.
  static constexpr int map_stages = spread ? 0 : (map_bytes + slice_bytes - 1) / slice_bytes;
  static constexpr int map_at = rstd_at + 1024;
  static constexpr int barriers_at = spread ? map_at + map_bytes : rstd_at + own * 4;
  // Behind the barriers: where a warp turns what it writes, or, of one block, where the sums of
  // warpgroups but the first are joined.
  static constexpr int staged_at = barriers_at + barrier_pairs * 16 + 16;
  static constexpr int staged_all = threads / 32 * staged_bytes;
  static constexpr int sum_bytes = 64 * wide_row * 4;
  static constexpr int sums_at = staged_at;
  static constexpr int behind = split && !spread ? (groups - 1) * sum_bytes : staged_all;
  static_assert(behind >= staged_all);
  static_assert(!spread || (2 * groups - 1) * sum_bytes / 2 <= stages * slice_bytes);
  static constexpr int bytes = 1024 + staged_at + behind;
  static_assert(bytes <= 227 * 1024);
};

// Calls f with a Sliced, of `few` rows where two blocks for 64 of them find room.
template <Form few, class F>
void with_form(const MlpShape& shape, F&& f) {
  with_curve(shape.curve, [&](auto curve) {
    constexpr Curve c = decltype(curve)::value;
    if (spreads(shape.members, shape.rows))
      f(Sliced<c, few>());
    else if (shape.members * shape.rows <= 64 * processors())
      f(Sliced<c, Form::split>());
    else
      f(Sliced<c, Form::pair>());
  });
}

// The curve of a product p = gate / input, the constant factors of all units multiplied beforehand.
struct CurveFactors {
  float input, slope;
  float power;   // swiglu: 2^(power p) = exp(-slope gate)
  float hidden;  // a hidden unit = hidden curved (p of its partner)
};

// curve(gate), of gated curves over `input`, and its derivative with respect to the gate.
template <Curve curve>
__device__ inline float curve_of(float p, const CurveFactors& f, float& derivative) {
  if constexpr (curve == Curve::swiglu) {
    const float s = sigmoid_of_power(f.power * p), curved = p * s;
    derivative = s + f.slope * f.input * curved * (1.0f - s);
    return curved;
  } else if constexpr (curve == Curve::geglu) {
    return p * gelu_part(f.input * p, f.slope, derivative);
  } else {
    return apply<curve>(f.input * p, f.slope, derivative);
  }
}

// What both passes read.
struct SlicedParts {
  int rows, inner, slices;
  CurveFactors factors;
};

template <class C>
SlicedParts sliced_parts(const MlpShape& shape, float first_factor, float activation) {
  const float partner = gated<C::curve> ? first_factor : 1.0f;
  return {static_cast<int>(shape.rows),
          static_cast<int>(shape.inner),
          static_cast<int>((shape.inner + C::units - 1) / C::units),
          {.input = first_factor,
           .slope = shape.slope,
           .power = -shape.slope * first_factor * log2_e,
           .hidden = activation * partner * partner}};
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
  CUtensorMap map, next;  // next: of the map behind the step (sliced_next.cuh)
};
template <class C>
MappedSlices mapped_slices(const MlpShape& s, const void* first, const void* second,
                           const void* map, int64_t stride) {
  MappedSlices maps{slice_maps<C>(s, first, second), {}, {}};
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

// The block's slice into the ring's place i; by one thread.
template <class C>
__device__ void load_slice(const Ring<C>& ring, const SliceMaps& maps, const Share<C>& share,
                           int slice, int i) {
  ring.announce_slice(i);
  const int unit = share.unit(slice), member = static_cast<int>(blockIdx.y);
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

}  // namespace rung::cuda

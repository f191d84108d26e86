// The next norm and its map at the end of sliced_mlp's forward pass where two blocks share rows:
// each multiplies all normalised rows with its half of the map.
#pragma once
#include "ops/cuda/hopper/sliced_mlp.cuh"

namespace rung::cuda {

struct NextMapParts {
  bf16* y;     // null: there is none
  bool alone;  // y is the norm
  int out;
  float epsilon, factor;
};

// Slices of 64 outputs, all of a block's behind the place of the sums that are joined
// (sliced_join.cuh).
template <class C>
struct NextSlices {
  static constexpr int units = 64, blocks = C::blocks, own = C::own, bytes = units * wide_row * 2;
  static constexpr int at = C::ring_at + (2 * C::groups - 1) * C::sum_bytes / 2;
  static constexpr int most = (C::ring_at + C::stages * C::slice_bytes - at) / bytes;
};
template <class C>
constexpr int64_t widest_next = int64_t{NextSlices<C>::most} * C::blocks* NextSlices<C>::units;

template <class C>
__device__ inline int next_slices(const Share<C>& share, int out) {
  return share.slices((out + NextSlices<C>::units - 1) / NextSlices<C>::units);
}
template <class C>
__device__ inline int next_output(const Share<C>& share, int slice) {
  return (slice * C::blocks + share.block) * NextSlices<C>::units;
}

inline CUtensorMap next_map_of(const MlpShape& s, const NextMap& next) {
  constexpr int units = 64;
  return tensor_map({next.map, wide_row, next.out, 1, s.members, wide_row, next.out * wide_row,
                     next.map_stride, units});
}

// By one thread, when nothing else is in their place.
template <class C>
__device__ void load_next(uint32_t base, const CUtensorMap& map, uint32_t came,
                          const Share<C>& share, int out) {
  using N = NextSlices<C>;
  const int slices = next_slices(share, out);
  announce(came, slices * N::bytes);
  for (int i = 0; i < slices; ++i)
#pragma unroll
    for (int panel = 0; panel < 2; ++panel)
      copy_box(base + N::at + i * N::bytes + panel * N::bytes / 2, map, came, panel * panel_columns,
               next_output(share, i), 0, static_cast<int>(blockIdx.y));
}

// Of all rows, at `rows`: their products with the block's slices, to y. The member's rows begin at
// `first_row` of y.
template <class C>
__device__ void multiply_next(const NextMapParts& next, uint32_t base, uint32_t rows, uint32_t came,
                              const Share<C>& share, int64_t first_row, int end, int warp,
                              int lane) {
  using N = NextSlices<C>;
  const uint64_t own = describe(rows, 0);
  const int slices = next_slices(share, next.out);
  wait_barrier(came, 0);
  for (int slice = warp / 4; slice < slices; slice += C::groups) {
    const uint64_t lines = describe(base + N::at + slice * N::bytes, 0);
    float sum[8][4];
    multiply_rows<C, N::units>(sum, own, lines);
    Quad y[4];
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        y[k][i] = pack2(next.factor * sum[2 * k + i / 2][i % 2 * 2],
                        next.factor * sum[2 * k + i / 2][i % 2 * 2 + 1]);
    const int first = next_output(share, slice);
    write_columns(y, next.y + first_row * next.out + first, next.out, share.begin + 16 * (warp % 4),
                  end, next.out - first, lane);
  }
}

}  // namespace rung::cuda

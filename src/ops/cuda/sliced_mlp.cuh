// What both passes of sliced_mlp.h share: where rows and slices lie in shared memory.
#pragma once
#include "ops/cuda/curve.cuh"
#include "ops/cuda/sliced_mlp.h"
#include "ops/cuda/wide_rows.cuh"

namespace rung::cuda {

constexpr int slice_units = 64;

// A block of 64 rows a warpgroup. Two buffers of rows, then a ring of slices: a slice is rows of
// the first matrix (gates, then their partners) as two panels and columns of the second as one.
template <Curve curve, int groups_>
struct Sliced {
  static constexpr int groups = groups_, threads = 128 * groups, own = 64 * groups;
  static constexpr int parts = gated<curve> ? 2 : 1, stages = 3;
  static constexpr int rows_bytes = own * wide_row * 2;
  static constexpr int first_rows = parts * slice_units;
  static constexpr int first_bytes = first_rows * wide_row * 2;
  static constexpr int slice_bytes = first_bytes + wide_row * slice_units * 2;
  static constexpr int bytes = 1024 + 2 * rows_bytes + stages * slice_bytes + own * 4;
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

// A slice of a member's matrices; hidden units beyond the last are zeros.
template <class C>
__device__ void load_slice(uint32_t to, const SlicedParts& s, const bf16* first, const bf16* second,
                           int slice) {
  constexpr int pieces = wide_row / 8, unit_pieces = slice_units / 8;
#pragma unroll 4
  for (int i = threadIdx.x; i < C::first_rows * pieces; i += C::threads) {
    const int row = i / pieces, piece = i % pieces, unit = slice * slice_units + row % slice_units;
    const bool real = unit < s.inner;
    const int from = row / slice_units * s.inner + (real ? unit : 0);
    copy_async<16>(to + piece_at(C::first_rows, row, piece), first + from * wide_row + 8 * piece,
                   real);
  }
#pragma unroll 4
  for (int i = threadIdx.x; i < wide_row * unit_pieces; i += C::threads) {
    const int row = i / unit_pieces, piece = i % unit_pieces;
    const int unit = slice * slice_units + 8 * piece;
    const bool real = unit < s.inner;
    copy_async<16>(to + C::first_bytes + piece_at(wide_row, row, piece),
                   second + row * s.inner + (real ? unit : 0), real);
  }
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

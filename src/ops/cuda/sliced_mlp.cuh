// What both passes of sliced_mlp.h share: where rows and slices lie in shared memory.
#pragma once
#include "ops/cuda/curve.cuh"
#include "ops/cuda/device.h"
#include "ops/cuda/sliced_mlp.h"
#include "ops/cuda/wgmma.cuh"

namespace rung::cuda {

constexpr int sliced_width = 128, slice_units = 64;

// A block of 64 rows a warpgroup. Two buffers of rows, then a ring of slices: a slice is rows of
// the first matrix (gates, then their partners) as two panels and columns of the second as one.
template <Curve curve, int groups_>
struct Sliced {
  static constexpr int groups = groups_, threads = 128 * groups, own = 64 * groups;
  static constexpr int parts = gated<curve> ? 2 : 1, stages = 3;
  static constexpr int rows_bytes = own * sliced_width * 2;
  static constexpr int first_rows = parts * slice_units;
  static constexpr int first_bytes = first_rows * sliced_width * 2;
  static constexpr int slice_bytes = first_bytes + sliced_width * slice_units * 2;
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
  constexpr int pieces = sliced_width / 8, unit_pieces = slice_units / 8;
#pragma unroll 4
  for (int i = threadIdx.x; i < C::first_rows * pieces; i += C::threads) {
    const int row = i / pieces, piece = i % pieces, unit = slice * slice_units + row % slice_units;
    const bool real = unit < s.inner;
    const int from = row / slice_units * s.inner + (real ? unit : 0);
    copy_async<16>(to + piece_at(C::first_rows, row, piece),
                   first + from * sliced_width + 8 * piece, real);
  }
#pragma unroll 4
  for (int i = threadIdx.x; i < sliced_width * unit_pieces; i += C::threads) {
    const int row = i / unit_pieces, piece = i % unit_pieces;
    const int unit = slice * slice_units + 8 * piece;
    const bool real = unit < s.inner;
    copy_async<16>(to + C::first_bytes + piece_at(sliced_width, row, piece),
                   second + row * s.inner + (real ? unit : 0), real);
  }
}

// A block's rows from row `begin` on; zeros beyond the member's last.
template <class C>
__device__ void load_own(uint32_t to, const bf16* from, int begin, int end) {
  constexpr int pieces = sliced_width / 8;
#pragma unroll 4
  for (int i = threadIdx.x; i < C::own * pieces; i += C::threads) {
    const int row = i / pieces, piece = i % pieces;
    const bool real = begin + row < end;
    copy_async<16>(to + piece_at(C::own, row, piece),
                   from + static_cast<int64_t>(real ? begin + row : 0) * sliced_width + 8 * piece,
                   real);
  }
}

// A warp's 16 rows, from row `first` of the block on, to global memory where they are there.
template <class C>
__device__ void write_own(const unsigned char* from, bf16* to, int first, int begin, int end,
                          int lane) {
  constexpr int pieces = sliced_width / 8;
#pragma unroll 4
  for (int i = lane; i < 16 * pieces; i += 32) {
    const int row = first + i / pieces, piece = i % pieces;
    if (begin + row < end)
      *reinterpret_cast<uint4*>(to + static_cast<int64_t>(begin + row) * sliced_width + 8 * piece) =
          *reinterpret_cast<const uint4*>(from + piece_at(C::own, row, piece));
  }
}

// The products of 64 rows (of panels of C::own rows, at `rows`) with the first matrix's slice,
// started: pre = rows first^T.
template <class C>
__device__ void start_first(float (&pre)[C::first_rows / 8][4], uint64_t rows, uint64_t first) {
#pragma unroll
  for (int k = 0; k < sliced_width / 16; ++k) {
    const uint64_t a = moved(rows, k / 4 * C::own * panel_row + k % 4 * 32);
    const uint64_t b = moved(first, k / 4 * C::first_rows * panel_row + k % 4 * 32);
    if (k == 0)
      multiply(pre, a, b);
    else
      multiply_add(pre, a, b);
  }
}

}  // namespace rung::cuda

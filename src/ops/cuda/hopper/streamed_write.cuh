// What the backward pass of streamed_mlp.h writes for the matrices' gradients, from A operands.
#pragma once
#include "ops/cuda/hopper/streamed_mlp.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {

// Where a lane writes what the matrices' gradients are made of: its row's part of a slice, and of
// the row 8 below it. Null: nothing.
struct OwnRow {
  bf16 *hidden, *units;
  int left;  // rows of the member from its own on
};
template <class C>
__device__ inline OwnRow own_row(const StreamedParts& s, bf16* hidden, bf16* units, int row,
                                 int lane) {
  const int64_t at = static_cast<int64_t>(blockIdx.y) * s.rows + row + lane / 4;
  const int column = 8 * (lane % 4);
  return {hidden ? hidden + at * s.inner + column : nullptr,
          units ? units + at * (C::parts * s.inner) + column : nullptr, s.rows - row - lane / 4};
}

// A operands of a warp's 16 rows and 32 columns to rows `stride` apart.
__device__ inline void write_half(const Quad* from, bf16* to, int stride, int rows, bool there,
                                  int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    Quad v;
#pragma unroll
    for (int n = 0; n < 4; ++n) v[n] = from[n / 2][r + n % 2 * 2];
    gather_blocks(v, lane);
    if (there && 8 * r < rows) store16(to + 8 * r * stride, make_uint4(v[0], v[1], v[2], v[3]));
  }
}

template <class C>
__device__ inline void write_slice(const Quad (&hidden)[C::units / 16],
                                   const Quad (&units)[C::first_rows / 16], const OwnRow& own,
                                   int inner, int unit, int lane) {
  const bool there = unit + 8 * (lane % 4) < inner;
  if (own.hidden) write_half(hidden, own.hidden + unit, inner, own.left, there, lane);
  if (own.units)
#pragma unroll
    for (int part = 0; part < C::parts; ++part)
      write_half(units + C::units / 16 * part, own.units + part * inner + unit, C::parts * inner,
                 own.left, there, lane);
}

}  // namespace rung::cuda

// A warp's part of the ffn's backward pass: its 16 hidden units over the rows of a tile. Units lie
// along the rows of its products, so that hidden values are at once the A of the products with rows
// along k.
#pragma once
#include <algorithm>

#include "ops/cuda/mlp.h"
#include "ops/cuda/narrow_backward.cuh"

namespace rung::cuda {
namespace {

constexpr int most_warps = 12;

struct Backward {
  const bf16 *x, *first, *second, *dout;
  StreamGradient stream;
  float* partial;
  const bf16* map;  // null: f came through none
  bf16* dmapped;
  int64_t first_stride, second_stride, map_stride;
  int rows, tile, per_block, inner, chunks;
  float first_factor, slope, activation, dhidden, dinput, out_skip, map_factor;
};

constexpr int unit_line = tile_rows + 8;

// Where things lie in shared memory; buffers of rows are double.
template <int D, int parts>
struct Shared {
  int padded, tile;
  bf16* base;
  __device__ int stage() const { return tile * line<D>; }
  __device__ bf16* first() const { return base; }
  __device__ bf16* second() const { return first() + parts * padded * line<D>; }
  __device__ bf16* x(int buffer) const { return second() + D * (padded + 8) + buffer * stage(); }
  __device__ bf16* dout(int buffer) const { return x(2 + buffer); }
  // Gradients of the hidden units before their curve [parts padded, unit_line], then of the rows.
  __device__ bf16* units() const { return x(4); }
  __device__ bf16* rows() const { return units() + parts * padded * unit_line; }
  __device__ float* rstd() const { return reinterpret_cast<float*>(rows() + stage()); }
  __device__ bf16* map() const { return rows() + stage() + 2 * tile; }
  static int bytes(int padded, int tile, bool map) {
    const int before = 2 * (parts * padded * line<D> + D * (padded + 8) + 4 * tile * line<D>);
    const int gradients =
        2 * (parts * padded * unit_line + tile * line<D>)+4 * tile + (map ? 2 * D * line<D> : 0);
    return before + std::max(gradients, 4 * D * (padded + 4));  // of the second matrix's sums
  }
};

// Gradients of the matrices that a warp's 16 units have: rows of the first, columns of the second.
template <int D, int parts>
struct Gradients {
  float first[parts][D / 8][4] = {}, second[D / 8][4] = {};
};

// From dhidden in `d` and the units before their curve: hidden in `gate` unless it is gated (then
// in `up`), and gradients before the curve.
template <Curve curve>
__device__ inline void turn_back(const Backward& s, float gate, float up, float d, float& hidden,
                                 float& dgate, float& dup) {
  float derivative;
  const float value = apply<curve>(s.first_factor * gate, s.slope, derivative);
  d *= s.dhidden;
  if constexpr (gated<curve>) {
    up *= s.first_factor;
    hidden = s.activation * value * up;
    dgate = d * up * derivative;
    dup = d * value;
  } else {
    hidden = s.activation * value;
    dgate = d * derivative;
  }
}

// A C matrix pair of 16 units by 16 rows, as its own A, to shared memory.
__device__ inline void write_units(const Quad& a, bf16* units, int warp, int step, int lane) {
  bf16* const to = units + (16 * warp + lane / 4) * unit_line + 16 * step + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < 4; ++i)
    *reinterpret_cast<uint32_t*>(to + i % 2 * 8 * unit_line + i / 2 * 8) = a[i];
}

template <int D>
struct Rows {
  Tile<line<D>> first, x, dout;
  Tile<0> second;
};

// A warp's units over 16 rows: gradients before the curve to shared memory, the matrices' to `sum`.
template <int D, Curve curve>
__device__ void pass_rows(Gradients<D, gated<curve> ? 2 : 1>& sum, const Backward& s,
                          const Rows<D>& in, bf16* units, int warp, int step) {
  constexpr bool two = gated<curve>;
  float gate[2][4] = {}, up[2][4] = {}, d[2][4] = {};
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    Quad a, b;
    in.x.as_b_of_rows(b, step, k);
    in.first.as_a(a, warp, k);
    multiply_add(gate, a, b);
    if constexpr (two) {
      in.first.as_a(a, s.chunks + warp, k);
      multiply_add(up, a, b);
    }
    in.dout.as_b_of_rows(b, step, k);
    in.second.as_a_of_columns(a, k, warp);
    multiply_add(d, a, b);
  }
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      turn_back<curve>(s, gate[n][e], up[n][e], d[n][e], d[n][e], gate[n][e], up[n][e]);
  Quad a, b[D / 16];
#pragma unroll
  for (int n = 0; n < D / 16; ++n) in.x.as_b_of_columns(b[n], step, n);
  as_a(a, gate[0], gate[1]);
  write_units(a, units, warp, step, in.x.lane);
  add_rows<D>(sum.first[0], a, b);
  if constexpr (two) {
    as_a(a, up[0], up[1]);
    write_units(a, units, s.chunks + warp, step, in.x.lane);
    add_rows<D>(sum.first[1], a, b);
  }
#pragma unroll
  for (int n = 0; n < D / 16; ++n) in.dout.as_b_of_columns(b[n], step, n);
  as_a(a, d[0], d[1]);
  add_rows<D>(sum.second, a, b);
}

}  // namespace
}  // namespace rung::cuda

// The backward pass of resident_mlp.h: where things lie in shared memory, how they come there, and
// how the matrices' gradients leave.
#pragma once
#include "ops/cuda/hopper/resident_back.cuh"
#include "ops/cuda/hopper/resident_matrices.cuh"
#include "ops/cuda/hopper/sliced_mlp.cuh"

namespace rung::cuda {
namespace {

constexpr int unit_row = back_own * 2;  // bytes of a hidden unit's gradients of a warpgroup's rows

template <Curve curve_>
struct ResidentBack {
  static constexpr Curve curve = curve_;
  static constexpr int parts = gated<curve> ? 2 : 1;
  static constexpr int units = 64 * back_groups, padded = parts * units;
  // The first matrix's parts one behind the other, the second's panels of 64 units, the map;
  // gradients of hidden units before their curve [own rows of a warpgroup][padded, back_own]; x and
  // dout of two tiles; gradients of rows; their norms' factors.
  static constexpr int second_at = padded * panel_row;
  static constexpr int map_at = second_at + back_groups * square_bytes;
  static constexpr int units_at = map_at + square_bytes, units_bytes = padded * unit_row;
  static constexpr int rows_at = units_at + back_groups * units_bytes;
  static constexpr int back_at = rows_at + 4 * back_tile_bytes;
  static constexpr int rstd_at = back_at + back_tile_bytes;
  static constexpr int barriers_at = rstd_at + back_tile * 4;
  static constexpr int bytes = 1024 + barriers_at + 8 * 3;
  static_assert(bytes <= 227 * 1024);
  // Where the second matrix's sums are turned: [width, units] in fp32.
  static constexpr int turned_row = units + 4;
  static_assert(resident_width * turned_row * 4 <= back_at - units_at);
  static __device__ uint32_t x(int tile) { return rows_at + tile % 2 * 2 * back_tile_bytes; }
  static __device__ uint32_t came(int tile) { return barriers_at + 8 + tile % 2 * 8; }
};

struct Back {
  StreamBack stream;
  bf16* dmapped;
  float* partial;
  CurveFactors factors;
  int rows, per_block, inner;
  float units;  // constant factor of the units' gradients, left out of them
  float epsilon, map_factor;
  bool mapped;
};
struct BackMaps : MatrixMaps {
  CUtensorMap x, dout;
};

// Sums of a warpgroup's 64 hidden units: rows of the first matrix, columns of the second.
template <class C>
struct UnitSums {
  float first[C::parts][8][4] = {}, second[8][4] = {};
};

template <class C>
__device__ void load_tile(uint32_t base, const BackMaps& maps, int tile, int row) {
  const int member = static_cast<int>(blockIdx.y);
  const uint32_t barrier = base + C::came(tile);
  announce(barrier, 2 * back_tile_bytes);
  copy_box(base + C::x(tile), maps.x, barrier, 0, row, 0, member);
  copy_box(base + C::x(tile) + back_tile_bytes, maps.dout, barrier, 0, row, 0, member);
}

// The warpgroup's rows of the gate, as A operands.
template <class C>
__device__ void load_gates(Quad (&gates)[4], const BackGroup& at) {
  const int lane = at.lane(), unit = 64 * at.group + 16 * at.warp + lane % 16;
#pragma unroll
  for (int k = 0; k < 4; ++k)
    load_matrices(gates[k], reinterpret_cast<const bf16*>(
                                at.shared + piece_at(C::units, unit, 2 * k + lane / 16)));
}

// The block's sums of the matrices' gradients: [parts inner, width] and [width, inner].
template <class C>
__device__ void write_sums(const UnitSums<C>& sum, const BackGroup& at, const Back& s) {
  float* const turned = reinterpret_cast<float*>(at.shared + C::units_at);
  const int lane = at.lane();
  const int64_t index = static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
  float* const to = s.partial + index * (C::parts + 1) * s.inner * resident_width;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int unit = 64 * at.group + 16 * at.warp + lane / 4 + 8 * r;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const int column = 8 * n + lane % 4 * 2;
      if (unit < s.inner)
#pragma unroll
        for (int part = 0; part < C::parts; ++part)
          *reinterpret_cast<float2*>(to + (part * s.inner + unit) * resident_width + column) =
              make_float2(s.units * sum.first[part][n][2 * r],
                          s.units * sum.first[part][n][2 * r + 1]);
      turned[column * C::turned_row + unit] = s.factors.hidden * sum.second[n][2 * r];
      turned[(column + 1) * C::turned_row + unit] = s.factors.hidden * sum.second[n][2 * r + 1];
    }
  }
  __syncthreads();
  const int vectors = s.inner / 4;
  float* const second = to + C::parts * s.inner * resident_width;
  for (int i = threadIdx.x; i < resident_width * vectors; i += back_threads) {
    const int row = i / vectors, column = i % vectors * 4;
    *reinterpret_cast<float4*>(second + row * s.inner + column) =
        *reinterpret_cast<const float4*>(turned + row * C::turned_row + column);
  }
}

}  // namespace
}  // namespace rung::cuda

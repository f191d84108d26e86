// Where resident_mlp.h's matrices and rows lie in shared memory, and how they come there.
#pragma once
#include <algorithm>

#include "ops/cuda/hopper/resident_matrices.cuh"
#include "ops/cuda/hopper/sliced_mlp.cuh"
#include "ops/cuda/narrow.cuh"

namespace rung::cuda {
namespace {

template <Curve curve_>
struct Resident {
  static constexpr Curve curve = curve_;
  static constexpr int parts = gated<curve> ? 2 : 1, units = 32;
  static constexpr int groups = 4, threads = 128 * groups;
  // Of the first matrix, parts one behind the other, then the second's panels of 64 units, the map,
  // and rows: x and f of two tiles a warpgroup, in whose place h and the outputs leave.
  static constexpr int most_units = 192;
  static constexpr int second_at = parts * most_units * panel_row;
  static constexpr int map_at = second_at + most_units / panel_columns * tile_bytes;
  static constexpr int rows_at = map_at + tile_bytes;
  static constexpr int barriers_at = rows_at + groups * 4 * tile_bytes;
  static constexpr int bytes = 1024 + barriers_at + 8 * (1 + 2 * groups);
  static_assert(bytes <= 227 * 1024);
};

struct Forward {
  SlicedParts in;
  float skip, branch, epsilon, second_factor, out_skip;
  bool streamed, mapped;  // h is made of x and f; f is multiplied by the map first
};
struct ForwardMaps : MatrixMaps {
  CUtensorMap x, f, h, out;
};

// A warpgroup's tiles: where the i-th lies, and the barrier that tells of its arrival.
template <class C>
struct Tiles {
  uint32_t rows, barriers;
  int group;
  __device__ uint32_t at(int i) const { return rows + (2 * group + i % 2) * 2 * tile_bytes; }
  __device__ uint32_t came(int i) const { return barriers + 8 * (1 + 2 * group + i % 2); }
  __device__ void load(int i, int tile, const ForwardMaps& maps, bool streamed) const {
    const int member = static_cast<int>(blockIdx.y);
    announce(came(i), streamed ? 2 * tile_bytes : tile_bytes);
    copy_box(at(i), maps.x, came(i), 0, tile * own_rows, 0, member);
    if (streamed) copy_box(at(i) + tile_bytes, maps.f, came(i), 0, tile * own_rows, 0, member);
  }
};

}  // namespace
}  // namespace rung::cuda

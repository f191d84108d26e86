// The next norm and its map at the end of the ffn's forward pass (streamed_mlp.h): a block's rows
// are still there, and the map streams past them as the ffn's matrices did.
#pragma once
#include "ops/cuda/hopper/streamed_rows.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"
#include "ops/cuda/mlp.h"

namespace rung::cuda {

// y = factor map norm(rows), or without outputs of a map norm(rows); y null: there is none.
struct NextRows {
  bf16* y;
  int out;
  float epsilon, factor;
};
inline NextRows next_rows_of(const NextMap* next) {
  if (!next) return {};
  return {static_cast<bf16*>(next->y), next->map ? static_cast<int>(next->out) : 0, next->epsilon,
          next->factor};
}
// Boxes of 256 of the map's rows.
inline CUtensorMap next_rows_map(int64_t members, const NextMap& next) {
  return tensor_map({next.map, long_row, next.out, 1, members, long_row, next.out * long_row,
                     next.map_stride, long_row});
}

// The map in stages of 64 of its columns, 256 outputs one after the other.
template <class Ring>
__device__ void bring_next(Ring& ring, const CUtensorMap& map, int out) {
  for (int first = 0; first < out; first += long_row)
#pragma unroll 1
    for (int panel = 0; panel < long_panels; ++panel, ring.next()) {
      ring.wait_empty();
      announce(ring.full(), long_row * panel_row);
      copy_own(ring.at(), map, ring.full(), panel * panel_columns, first);
    }
}

// Of the threads of a warpgroup.
__device__ inline void synchronise_group(int group) {
  meet_group(3 + group);
}

// A warp's 16 rows of 256 outputs, from `first` on, of which `columns` are there.
__device__ inline void write_next(const float (&sum)[32][4], const NextRows& s, bf16* to, int row,
                                  int end, int columns, int lane) {
#pragma unroll
  for (int part = 0; part < 4; ++part) {
    Quad y[4];
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float(&pair)[4] = sum[8 * part + 2 * k + i / 2];
        y[k][i] = pack2(s.factor * pair[i % 2 * 2], s.factor * pair[i % 2 * 2 + 1]);
      }
    write_columns(y, to + 64 * part, s.out, row, end, columns - 64 * part, lane);
  }
}

// What follows the warpgroup's rows in shared memory, of which each warp has written its own from
// `row` on.
template <class Ring>
__device__ void multiply_next_rows(const NextRows& s, Ring& ring, unsigned char* rows,
                                   uint32_t base, int row, int begin, int end, int lane) {
  const int group = row / 64;
  const int64_t member = static_cast<int64_t>(blockIdx.y) * end;
  __syncwarp();
  normalise_rows<1>(
      rows, row, s.epsilon, s.out == 0 ? s.y + member * long_row : nullptr, [](int, float) {},
      begin, end);
  show_copies();
  synchronise_group(group);
  const uint64_t own = describe(base + group * 64 * panel_row, 0);
#pragma unroll 1
  for (int first = 0; first < s.out; first += long_row) {
    float sum[32][4] = {};
    multiply_long_rows(sum, own, ring, lane);
    write_next(sum, s, s.y + member * s.out + first, begin + row, end, s.out - first, lane);
  }
}

}  // namespace rung::cuda

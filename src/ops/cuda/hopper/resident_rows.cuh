// Rows of width 64 in shared memory, a panel of wgmma.cuh, where a block's matrices stay there too.
#pragma once
#include "ops/cuda/hopper/tensor_copy.cuh"
#include "ops/cuda/hopper/wgmma.cuh"
#include "ops/cuda/narrow.cuh"

namespace rung::cuda {
namespace {

constexpr int resident_width = 64;
constexpr int own_rows = 64, tile_bytes = own_rows * panel_row;  // a warpgroup's, forward

// Where a lane's pairs of A operands lie among rows in shared memory.
struct Pairs {
  uint32_t own;
  __device__ Pairs(int first_row, int lane)
      : own(piece_at(own_rows, first_row + lane / 4, 0) + lane % 4 * 4) {}
  // Of operand k's i-th: a piece's place is an exclusive or of its number.
  __device__ uint32_t at(int k, int i) const {
    return (own ^ static_cast<uint32_t>(2 * k + i / 2) * 16) + i % 2 * 8 * panel_row;
  }
};

// Whether there are rows enough for blocks of several warpgroups on all multiprocessors.
inline bool has_many_rows(int64_t members, int64_t rows) {
  return members * rows >= 256 * processors();
}

}  // namespace
}  // namespace rung::cuda

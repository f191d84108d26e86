// How exponentials q leave the loss of width 256: a warpgroup puts a tile of its 64 rows into
// shared memory, in the form that the bulk tensor copy wants, and a thread of its own sends it off.
// Stores from registers would hold up whoever multiplies.
#pragma once
#include "ops/cuda/hopper/streamed_rows.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {

// A warpgroup's place for a tile of `panels` panels of 64 columns, and its two barriers: all of it
// has been put there, and it has been written to global memory.
template <int panels>
struct PowersOut {
  static constexpr int panel_bytes = 64 * panel_row, bytes = panels * panel_bytes;
  static constexpr int barrier_bytes = 16, warps = 4;
  uint32_t data, barriers;
  uint32_t phase = 0;

  __device__ uint32_t full() const { return barriers; }
  __device__ uint32_t written() const { return barriers + 8; }
  // By one thread, before the block synchronises; show_barriers follows.
  __device__ void start() const {
    start_barrier(full(), warps);
    start_barrier(written(), 1);
  }

  // Until the tile before, and all before that, are in global memory.
  __device__ void wait_written() const { wait_barrier(written(), phase ^ 1); }
  // Sixteen columns of the warp's rows, as an operand of products, to the k-th place.
  __device__ void put(const Quad& v, int k, int row, int lane) const {
    const int line = row + lane % 16, piece = k % 4 * 2 + lane / 16;
    store_matrices(data + k / 4 * panel_bytes + line * panel_row +
                       static_cast<uint32_t>(piece ^ line % 8) * 16,
                   v);
  }
  // By whole warps: the warp's part of the tile is there.
  __device__ void pass_on(int lane) {
    show_copies();
    __syncwarp();
    if (lane == 0) arrive(full());
    phase ^= 1;
  }

  // By one thread: sends `tiles` tiles of rows from `row` on. What lies outside of q is left out.
  __device__ void send_all(const CUtensorMap& q, int tiles, int vocabulary, int row) const {
    for (int tile = 0; tile < tiles; ++tile) {
      wait_barrier(full(), tile & 1);
#pragma unroll
      for (int panel = 0; panel < panels; ++panel) {
        const int column = (tile * panels + panel) * panel_columns;
        if (column >= vocabulary) break;
        write_box(q, data + panel * panel_bytes, column, row, 0, static_cast<int>(blockIdx.y));
      }
      commit_writes();
      cuda::wait_written();
      arrive(written());
    }
  }
};

}  // namespace rung::cuda

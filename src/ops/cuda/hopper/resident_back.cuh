// What backward passes at width 64 share whose matrices stay in shared memory: three warpgroups
// have 96 rows at a time, 32 each for what is done by the row; for the matrices' gradients each has
// 64 of their rows or columns.
#pragma once
#include "ops/cuda/hopper/resident_rows.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {
namespace {

constexpr int back_groups = 3, back_threads = 128 * back_groups;
constexpr int back_own = 32, back_tile = back_groups * back_own;
constexpr int back_tile_bytes = back_tile * panel_row, back_own_bytes = back_own * panel_row;
constexpr int square_bytes = resident_width * panel_row;  // of 64 x 64

// Who one is, and shared memory as wgmma and the copies see it, and as threads do.
struct BackGroup {
  uint32_t base;
  unsigned char* shared;
  int group, warp;  // warp: within the warpgroup
  // Read anew where it is wanted: the sums leave no registers for what could be made of it
  // beforehand.
  __device__ int thread() const {  // within the warpgroup
    int all;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(all));
    return all % 128;
  }
  __device__ int lane() const { return thread() % 32; }
  __device__ bf16* piece(uint32_t rows, int row, int piece) const {
    return reinterpret_cast<bf16*>(shared + rows + piece_at(back_tile, row, piece));
  }
  __device__ void meet() const {  // the warpgroup's threads
    meet_group(1 + group);
  }
};

__device__ inline BackGroup back_group(unsigned char* shared) {
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0);
  return {base, shared + (base - start), warp / 4, warp % 4};
}

// The warpgroup's rows of the tile at `x` become their RMSNorm.
__device__ inline void normalise_own(const BackGroup& at, uint32_t x, float* rstd, float epsilon) {
  __syncwarp();  // others of the warp have read rstd
#pragma unroll
  for (int i = at.thread(); i < back_own * 8; i += 128) {
    const int row = back_own * at.group + i / 8;
    bf16* const own = at.piece(x, row, i % 8);
    float h[8], squares = 0.0f;
    load8(own, h);
#pragma unroll
    for (int k = 0; k < 8; ++k) squares += h[k] * h[k];
    const float scale = rsqrtf(group_sum<8>(squares) / resident_width + epsilon);
#pragma unroll
    for (int k = 0; k < 8; ++k) h[k] *= scale;
    store8(own, h);
    if (i % 8 == 0) rstd[row] = scale;
  }
}

// `factor` times a product [64 columns, 32 rows], turned, into the warpgroup's rows of the tile at
// `to`; for all of the warpgroup to see.
__device__ inline void put_turned(const BackGroup& at, uint32_t to, const float (&sum)[4][4],
                                  float factor) {
  const int lane = at.lane(), piece = 2 * at.warp + lane / 8 % 2;
#pragma unroll
  for (int n = 0; n < 4; n += 2) {
    const int row = back_own * at.group + 8 * n + lane / 16 * 8 + lane % 8;
    const Quad pairs = {pack2(factor * sum[n][0], factor * sum[n][1]),
                        pack2(factor * sum[n][2], factor * sum[n][3]),
                        pack2(factor * sum[n + 1][0], factor * sum[n + 1][1]),
                        pack2(factor * sum[n + 1][2], factor * sum[n + 1][3])};
    store_matrices_turned(at.base + to + piece_at(back_tile, row, piece), pairs);
  }
  at.meet();
}

// Where the gradient of the stream goes, and what it is made of: total = around_factor around +
// dinput (the norm's gradient of du), dx = skip total, df = branch total.
struct StreamBack {
  bf16 *dx, *df;  // df: null where both are the same
  float dinput, around_factor, skip, branch;
};
// Tiles in shared memory: du, normalised rows and the gradient around them; and the norms' factors.
struct StreamTiles {
  uint32_t du, unit, around;
  bool has_around;
  const float* rstd;
};

// Of the warpgroup's rows, those of the tile from `begin` on that are before `end`; `kept`: df
// takes du's place.
__device__ inline void write_stream(const BackGroup& at, const StreamBack& s,
                                    const StreamTiles& tiles, bool kept, int64_t member, int begin,
                                    int end) {
#pragma unroll
  for (int i = at.thread(); i < back_own * 8; i += 128) {
    const int row = back_own * at.group + i / 8, piece = i % 8;
    const int64_t to = member + static_cast<int64_t>(begin + row) * resident_width + 8 * piece;
    float g[8], unit[8], other[8] = {}, product = 0.0f;
    load8(at.piece(tiles.du, row, piece), g);
    load8(at.piece(tiles.unit, row, piece), unit);
    if (tiles.has_around) load8(at.piece(tiles.around, row, piece), other);
#pragma unroll
    for (int k = 0; k < 8; ++k) product += g[k] * unit[k];
    product = group_sum<8>(product) / resident_width;
    const float factor = s.dinput * tiles.rstd[row];
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float total = s.around_factor * other[k] + factor * (g[k] - unit[k] * product);
      g[k] = s.skip * total;
      other[k] = s.branch * total;
    }
    if (kept) store8(at.piece(tiles.du, row, piece), other);
    if (begin + row >= end) continue;
    if (s.df) store8_whole(s.df + to, other);
    store8_whole(s.dx + to, g);
  }
}

// Rows [rows, 64] of all members, a tile of them as the copies bring it.
inline CUtensorMap back_rows(const void* base, int64_t members, int64_t rows) {
  constexpr int width = resident_width;
  return tensor_map({base, width, rows, 1, members, width, rows * width, rows * width, back_tile});
}

// Rows of a member that each of so many blocks has, whole tiles.
inline int back_rows_each(int64_t rows, int64_t blocks) {
  const int64_t tiles = blocks_for(rows, back_tile);
  return static_cast<int>((tiles + blocks - 1) / blocks) * back_tile;
}

}  // namespace
}  // namespace rung::cuda

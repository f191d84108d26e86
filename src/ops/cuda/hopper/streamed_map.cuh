// A map of 256 x 256 that what is added to the stream goes through first, taken along by the ffn's
// kernels (streamed_mlp.h).
#pragma once
#include "ops/cuda/hopper/streamed_rows.cuh"

namespace rung::cuda {

// h = skip x + factor f map^T; h null: there is no map.
struct MapBefore {
  bf16* h;
  float skip, factor;
};
// dmapped = factor dx map; null: there is no map.
struct MapBehind {
  bf16* dmapped;
  float factor;
};

// A member's map as boxes of `box_rows` rows.
inline CUtensorMap square_map(const void* map, int64_t members, int64_t stride, int box_rows) {
  return tensor_map(
      {map, long_row, long_row, 1, members, long_row, long_row * long_row, stride, box_rows});
}

// The map's four panels, one a stage of 32 KB.
template <class Ring>
__device__ void bring_map(Ring& ring, const CUtensorMap& map) {
  for (int panel = 0; panel < long_panels; ++panel, ring.next()) {
    ring.wait_empty();
    announce(ring.full(), long_row * panel_row);
    copy_own(ring.at(), map, ring.full(), panel * panel_columns, 0);
  }
}
// The block's rows as two stages of two panels.
template <class Ring>
__device__ void bring_rows_again(Ring& ring, const CUtensorMap& map, int begin) {
#pragma unroll
  for (int half = 0; half < 2; ++half, ring.next()) {
    ring.wait_empty();
    announce(ring.full(), 2 * streamed_panel);
#pragma unroll
    for (int i = 0; i < 2; ++i)
      copy_own(ring.at() + i * streamed_panel, map, ring.full(), (2 * half + i) * panel_columns,
               begin);
  }
}

// What bring_rows_again brought, in place: factor times 128 columns of sum, from block of eight
// `block` on, and `skip` times what is there.
__device__ inline void add_half(const float (&sum)[32][4], float factor, float skip,
                                unsigned char* panels, int block, int row, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int n = 0; n < 16; ++n) {
      const uint32_t at = piece_at(streamed_rows, row + lane / 4 + 8 * r, n) + lane % 4 * 4;
      uint32_t& pair = *reinterpret_cast<uint32_t*>(panels + at);
      const float low = __uint_as_float(pair << 16), high = __uint_as_float(pair & 0xffff0000u);
      pair = pack2(factor * sum[block + n][2 * r] + skip * low,
                   factor * sum[block + n][2 * r + 1] + skip * high);
    }
}

// Rows of f become rows of h, here and in global memory, where the copies may read them; the
// block's workers synchronise afterwards. `row`: the warp's first.
template <class Ring>
__device__ void map_rows(const MapBefore& s, Ring& ring, unsigned char* rows, uint32_t base,
                         uint32_t written, int row, int begin, int end, int lane) {
  const uint64_t own = describe(base + row / 64 * 64 * panel_row, 0);
  float sum[32][4] = {};
  multiply_long_rows(sum, own, ring, lane);
  synchronise_workers();  // f has been read
  bf16* const h = s.h + static_cast<int64_t>(blockIdx.y) * end * long_row;
  Ring read = ring;
#pragma unroll
  for (int half = 0; half < 2; ++half, ring.next()) {
    ring.wait();
    unsigned char* const panels = rows + (ring.at() - base);
    add_half(sum, s.factor, s.skip, panels, 16 * half, row, lane);
    __syncwarp();
#pragma unroll 4
    for (int i = lane; i < 16 * 16; i += 32) {
      const int at = row + i / 16, piece = i % 16;
      const uint4 value =
          *reinterpret_cast<const uint4*>(panels + piece_at(streamed_rows, at, piece));
      *reinterpret_cast<uint4*>(rows + piece_at(streamed_rows, at, 16 * half + piece)) = value;
      if (begin + at < end)
        store16(h + static_cast<int64_t>(begin + at) * long_row + 128 * half + 8 * piece, value);
    }
  }
  asm volatile("fence.proxy.async;" ::: "memory");
  __syncwarp();
#pragma unroll
  for (int half = 0; half < 2; ++half, read.next()) read.done(lane);
  if (lane == 0) arrive(written);
}

// dmapped of the warpgroup's rows of dx in shared memory, which lie at `dx`; the map's rows come as
// stages of `lines` each. Written by way of `stage`, rows that nobody needs any more.
template <int lines, class Ring>
__device__ void map_back(const MapBehind& s, Ring& ring, uint64_t dx, unsigned char* stage, int row,
                         int begin, int end, int lane) {
  show_copies();  // dx has been written by ordinary stores
  synchronise_workers();
  float sum[32][4] = {};
#pragma unroll
  for (int i = 0; i < long_row / lines; ++i, ring.next()) {
    ring.wait();
    const uint64_t map = describe(ring.at(), lines * panel_row);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < lines / 16; ++k) {
      const int column = i * lines + k * 16;
      multiply_add<1>(
          sum, moved(dx, column / panel_columns * streamed_panel + column % panel_columns * 2),
          moved(map, k * 16 * panel_row));
    }
    wgmma_commit();
    wgmma_wait<0>();
    pin(sum);
    ring.done(lane);
  }
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int n = 0; n < 32; ++n)
      *reinterpret_cast<uint32_t*>(stage + piece_at(streamed_rows, row + lane / 4 + 8 * r, n) +
                                   lane % 4 * 4) =
          pack2(s.factor * sum[n][2 * r], s.factor * sum[n][2 * r + 1]);
  __syncwarp();
  write_long_rows(stage, s.dmapped + static_cast<int64_t>(blockIdx.y) * end * long_row, row, begin,
                  end, lane);
}

}  // namespace rung::cuda

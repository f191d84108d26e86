// A warpgroup's 64 rows meet tiles of 128 rows of the readout.
#include "ops/cuda/hopper/streamed_loss.h"
#include "ops/cuda/hopper/streamed_loss_rows.cuh"

namespace rung::cuda {
namespace {

struct LossTiles256 {
  static constexpr int tile = 128, panel_bytes = tile * panel_row;
  // A tile is two stages of two panels each.
  static constexpr int stages = 5, stage_bytes = 2 * panel_bytes;
  static constexpr int barriers_at = streamed_rows_bytes + stages * stage_bytes;
  static constexpr int bytes = 1024 + barriers_at + 16 * stages + 8;
  using Ring = StageRing<stages, stage_bytes>;
};

struct LossMaps {
  CUtensorMap rows, weight;
};

template <class C>
__device__ void bring_tiles(typename C::Ring ring, int tiles, const CUtensorMap& weight) {
  for (int tile = 0; tile < tiles; ++tile)
#pragma unroll
    for (int stage = 0; stage < 2; ++stage, ring.next()) {
      ring.wait_empty();
      announce(ring.full(), C::stage_bytes);
#pragma unroll
      for (int panel = 0; panel < 2; ++panel)
        copy_own(ring.at() + panel * C::panel_bytes, weight, ring.full(),
                 (2 * stage + panel) * panel_columns, tile * C::tile);
    }
}

// z = the warpgroup's rows times a tile, started.
template <class C>
__device__ void multiply_tile(float (&z)[16][4], uint64_t own, typename C::Ring& ring) {
#pragma unroll
  for (int stage = 0; stage < 2; ++stage, ring.next()) {
    ring.wait();
    wgmma_fence();
    const uint64_t tile = describe(ring.at(), 0);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const uint64_t a = moved(own, (2 * stage + k / 4) * streamed_panel + k % 4 * 32);
      const uint64_t b = moved(tile, k / 4 * C::panel_bytes + k % 4 * 32);
      if (stage == 0 && k == 0)
        multiply(z, a, b);
      else
        multiply_add(z, a, b);
    }
  }
}

template <class C, bool wanted>
__device__ void meet_tiles(const StreamedReadout& s, typename C::Ring ring, unsigned char* x,
                           uint32_t base, int begin) {
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, first = 16 * warp;
  const uint64_t own = describe(base + group * 64 * panel_row, 0);
  // The warp's first row of q, and how many of its rows there are.
  const int there = s.rows - begin - first;
  bf16* const q =
      wanted ? s.q + (static_cast<int64_t>(blockIdx.y) * s.rows + begin + first) * s.vocabulary
             : nullptr;
  float sum[2][16][4] = {};
  Quad p[8] = {};
  OnlineRows online;
  begin_second(group);
  for (int tile = 0; tile < s.tiles; ++tile) {
    float z[16][4];
    typename C::Ring lines = ring, read = ring;
    multiply_tile<C>(z, own, ring);
    wgmma_commit();
    wgmma_wait<0>();
    pin(z);
    if (tile == 0) let_second_begin(group);
    const int columns = tile * C::tile, left = s.vocabulary - columns;
    if (left < C::tile)
#pragma unroll
      for (int n = 0; n < 16; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (8 * n + lane % 4 * 2 + j % 2 >= left) z[n][j] = -INFINITY;
    float largest[2];
    largest_of(z, s.scale, largest);
    if (!__all_sync(0xffffffffu, largest[0] <= online.reference[0] + highest &&
                                     largest[1] <= online.reference[1] + highest))
      move_references<wanted>(online, largest, sum, q, s.vocabulary, columns, there, lane);
    exponentials(p, z, s.scale, online);
    if constexpr (wanted) {
      const uint64_t low = describe(lines.at(), C::panel_bytes);
      lines.next();
      const uint64_t high = describe(lines.at(), C::panel_bytes);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < 8; ++k) multiply_add<1>(sum[0], p[k], moved(low, k * 16 * panel_row));
#pragma unroll
      for (int k = 0; k < 8; ++k) multiply_add<1>(sum[1], p[k], moved(high, k * 16 * panel_row));
      wgmma_commit();
#pragma unroll
      for (int half = 0; half < 2; ++half)
        write_columns(p + 4 * half, q + columns + 64 * half, s.vocabulary, 0, there,
                      left - 64 * half, lane);
      wgmma_wait<0>();
      pin(sum[0]);
      pin(sum[1]);
      pin(p);
    }
    read.done(lane);
    read.next();
    read.done(lane);
  }
  __syncwarp();
  finish_loss<wanted>(s, online, sum, x, first, begin, lane);
}

template <class C, bool wanted>
__global__ void __launch_bounds__(streamed_threads, 1)
    pass(const StreamedReadout s, const __grid_constant__ LossMaps maps) {
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const typename C::Ring ring{base + streamed_rows_bytes, base + C::barriers_at};
  const uint32_t rows_came = base + C::barriers_at + C::Ring::barrier_bytes;
  const int begin = blockIdx.x * streamed_rows;
  if (threadIdx.x == streamed_workers) {
    ring.start();
    start_barrier(rows_came, 1);
    show_barriers();
    announce(rows_came, streamed_rows_bytes);
    copy_long_rows(base, maps.rows, rows_came, begin);
  }
  __syncthreads();
  if (threadIdx.x >= streamed_workers) {
    keep_few_registers();
    if (threadIdx.x == streamed_workers) bring_tiles<C>(ring, s.tiles, maps.weight);
  } else {
    take_registers();
    wait_barrier(rows_came, 0);
    meet_tiles<C, wanted>(s, ring, shared + (base - start), base, begin);
  }
}

void launch(const StreamedLoss& shape, const void* x, const StreamedReadout& s, Stream stream) {
  using C = LossTiles256;
  const LossMaps maps{rows_map(x, shape.members, shape.rows, shape.row_stride),
                      tensor_map({s.weight, long_row, shape.vocabulary, 1, shape.members, long_row,
                                  shape.vocabulary * long_row, shape.weight_stride, C::tile})};
  if (s.dx)
    launch_streamed<C>(shape.members, shape.rows, pass<C, true>, s, maps, stream);
  else
    launch_streamed<C>(shape.members, shape.rows, pass<C, false>, s, maps, stream);
}

}  // namespace

void streamed_loss(const StreamedLoss& shape, const void* x, const void* weight,
                   const int64_t* targets, float factor, float* loss, void* dx, void* q,
                   void* share, Stream stream) {
  const StreamedReadout s{static_cast<int>(shape.rows),
                          static_cast<int>(shape.vocabulary),
                          static_cast<int>((shape.vocabulary + 127) / 128),
                          shape.row_stride,
                          shape.weight_stride,
                          shape.target_stride,
                          shape.loss_stride,
                          static_cast<const bf16*>(weight),
                          targets,
                          shape.forward * to_base_2,
                          factor,
                          loss,
                          static_cast<bf16*>(dx),
                          static_cast<bf16*>(q),
                          static_cast<bf16*>(share)};
  launch(shape, x, s, stream);
}

}  // namespace rung::cuda

// A warpgroup's 64 rows meet tiles of 128 rows of the readout.
#include "ops/cuda/hopper/streamed_loss.h"
#include "ops/cuda/hopper/streamed_loss_out.cuh"
#include "ops/cuda/hopper/streamed_loss_rows.cuh"

namespace rung::cuda {
namespace {

struct LossTiles256 {
  static constexpr int tile = 128, panel_bytes = tile * panel_row;
  // A tile is two stages of two panels each.
  static constexpr int stages = 4, stage_bytes = 2 * panel_bytes;
  using Ring = StageRing<stages, stage_bytes>;
  using Out = PowersOut<tile / panel_columns>;
  static constexpr int out_at = streamed_rows_bytes + stages * stage_bytes;
  static constexpr int barriers_at = out_at + 2 * Out::bytes;
  static constexpr int rows_came_at = barriers_at + Ring::barrier_bytes + 2 * Out::barrier_bytes;
  static constexpr int bytes = 1024 + rows_came_at + 8;

  __device__ static Ring ring(uint32_t base) {
    return {base + streamed_rows_bytes, base + barriers_at};
  }
  __device__ static Out out(uint32_t base, int group) {
    return {base + out_at + group * Out::bytes,
            base + barriers_at + Ring::barrier_bytes + group * Out::barrier_bytes};
  }
};

struct LossMaps {
  CUtensorMap rows, weight, q;
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

// z = the warpgroup's rows times the tile at the ring's place.
template <class C>
__device__ void start_logits(float (&z)[16][4], uint64_t own, typename C::Ring ring) {
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
  wgmma_commit();
}
// sum += p times the tile.
template <class C>
__device__ void start_sums(float (&sum)[32][4], const Quad (&p)[8], typename C::Ring ring) {
  wgmma_fence();
#pragma unroll
  for (int half = 0; half < 2; ++half, ring.next()) {
    const uint64_t tile = describe(ring.at(), C::panel_bytes);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      multiply_add<1>(reinterpret_cast<float(&)[16][4]>(sum[16 * half]), p[k],
                      moved(tile, k * 16 * panel_row));
  }
  wgmma_commit();
}

// Beyond the vocabulary's end there is nothing.
__device__ inline void leave_out(float (&z)[16][4], int left, int lane) {
  if (left >= 128) return;
#pragma unroll
  for (int n = 0; n < 16; ++n)
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (8 * n + lane % 4 * 2 + j % 2 >= left) z[n][j] = -INFINITY;
}

template <class C, bool wanted>
__device__ void meet_tiles(const StreamedReadout& s, unsigned char* x, uint32_t base, int begin) {
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, first = 16 * warp;
  const uint64_t own = describe(base + group * 64 * panel_row, 0);
  typename C::Ring ring = C::ring(base);
  typename C::Out out = C::out(base, group);
  float sum[32][4] = {};
  OnlineRows online;
  // The warp's first row of q.
  bf16* const q =
      wanted ? s.q + (static_cast<int64_t>(blockIdx.y) * s.rows + begin + first) * s.vocabulary
             : nullptr;
  begin_second(group);
  for (int tile = 0; tile < s.tiles; ++tile) {
    float z[16][4];
    start_logits<C>(z, own, ring);
    wgmma_wait<0>();
    pin(z);
    if (tile == 0) let_second_begin(group);
    leave_out(z, s.vocabulary - tile * C::tile, lane);
    float largest[2];
    largest_of(z, s.scale, largest);
    if (wanted) out.wait_written();
    if (!__all_sync(0xffffffffu, largest[0] <= online.reference[0] + highest &&
                                     largest[1] <= online.reference[1] + highest))
      move_references<wanted>(online, largest, sum, q, s.vocabulary, tile * C::tile,
                              s.rows - begin - first, lane);
    Quad p[8];
    exponentials(p, z, s.scale, online);
    if constexpr (wanted) {
      start_sums<C>(sum, p, ring);
#pragma unroll
      for (int k = 0; k < 8; ++k) out.put(p[k], k, first % 64, lane);
      out.pass_on(lane);
      wgmma_wait<0>();
      pin(sum);
      pin(p);
    }
#pragma unroll
    for (int stage = 0; stage < 2; ++stage, ring.next()) ring.done(lane);
  }
  __syncwarp();
  finish_loss<wanted>(s, online, sum, x, first, begin, lane, [&] { out.wait_written(); });
}

template <class C, bool wanted>
__global__ void __launch_bounds__(streamed_threads, 1)
    pass(const StreamedReadout s, const __grid_constant__ LossMaps maps) {
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const uint32_t rows_came = base + C::rows_came_at;
  const int begin = blockIdx.x * streamed_rows;
  if (threadIdx.x == streamed_workers) {
    C::ring(base).start();
    for (int group = 0; group < 2; ++group) C::out(base, group).start();
    start_barrier(rows_came, 1);
    show_barriers();
    announce(rows_came, streamed_rows_bytes);
    copy_long_rows(base, maps.rows, rows_came, begin);
  }
  __syncthreads();
  if (threadIdx.x >= streamed_workers) {
    keep_few_registers();
    const int job = (static_cast<int>(threadIdx.x) - streamed_workers) / 32;
    if (threadIdx.x % 32 != 0) return;
    if (job == 0) bring_tiles<C>(C::ring(base), s.tiles, maps.weight);
    if (wanted && (job == 1 || job == 2))
      C::out(base, job - 1).send_all(maps.q, s.tiles, s.vocabulary, begin + 64 * (job - 1));
  } else {
    take_registers();
    wait_barrier(rows_came, 0);
    meet_tiles<C, wanted>(s, shared + (base - start), base, begin);
  }
}

void launch(const StreamedLoss& shape, const void* x, const StreamedReadout& s, Stream stream) {
  using C = LossTiles256;
  const LossMaps maps{
      rows_map(x, shape.members, shape.rows, shape.row_stride),
      tensor_map({s.weight, long_row, shape.vocabulary, 1, shape.members, long_row,
                  shape.vocabulary * long_row, shape.weight_stride, C::tile}),
      s.q ? tensor_map({s.q, shape.vocabulary, shape.rows, 1, shape.members, shape.vocabulary,
                        shape.rows * shape.vocabulary, shape.rows * shape.vocabulary, 64})
          : CUtensorMap{}};
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

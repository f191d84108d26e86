// RMSNorm and the map behind it at width 128 where rows are few: the six warpgroups of two blocks
// share 64 rows, each with slices of outputs.
#include "ops/cuda/hopper/shared_rows.cuh"
#include "ops/cuda/hopper/wide_norm_linear.cuh"

namespace rung::cuda {
namespace {

// Rows, and a ring of slices of the matrix, of which each of two blocks has every other one.
struct FewRows {
  static constexpr int groups = 3, threads = 128 * groups, blocks = 2, own = 64;
  static constexpr int slice = 64, users = 4, stages = 3;
  static constexpr int rows_bytes = own * wide_row * 2, slice_bytes = slice * wide_row * 2;
  static constexpr int ring_at = rows_bytes, rstd_at = ring_at + stages * slice_bytes;
  static constexpr int barriers_at = rstd_at + own * 4;  // the ring's, then that of the rows
  static constexpr int bytes = 1024 + barriers_at + stages * 16 + 8;
};

__global__ void __launch_bounds__(FewRows::threads, 1)
    few_forward(NormLinearArgs s, const __grid_constant__ NormMaps maps) {
  using C = FewRows;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const Ring<C> ring{base + C::ring_at, base + C::barriers_at};
  const uint32_t rows_came = ring.barriers + ring.barrier_bytes;
  unsigned char* const x = shared + (base - start);
  const int block = static_cast<int>(blockIdx.x) % C::blocks,
            begin = static_cast<int>(blockIdx.x) / C::blocks * C::own;
  const int all = (s.out + C::slice - 1) / C::slice;
  const int slices = (all - block + C::blocks - 1) / C::blocks;
  const auto output = [&](int slice) { return (slice * C::blocks + block) * C::slice; };
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows;
  const auto load = [&](int slice) {
    ring.announce_slice(slice);
    copy_panels(ring.slice(slice), maps.matrix, ring.full(slice), output(slice),
                C::slice_bytes / 2);
  };
  if (threadIdx.x == 0)
    begin_norm_linear(ring, maps, base, rows_came, begin, nullptr, slices, load);
  __syncthreads();
  wait_barrier(rows_came, 0);
  normalise<C>(x, s.epsilon, reinterpret_cast<float*>(x + C::rstd_at), nullptr, begin, s.rows);
  show_copies();
  __syncthreads();
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const uint64_t own = describe(base, 0);
  for (int slice = warp / 4; slice < slices; slice += C::groups) {
    ring.wait(slice);
    const uint64_t rows = describe(ring.slice(slice), 0);
    float sum[8][4];
    multiply_rows<C, C::slice>(sum, own, rows);
    ring.done(slice, lane);
    if (threadIdx.x % 128 == 0) ring.replace(slice, slices, load);
    __syncwarp();
    Quad y[4];
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        y[k][i] = pack2(s.factor * sum[2 * k + i / 2][i % 2 * 2],
                        s.factor * sum[2 * k + i / 2][i % 2 * 2 + 1]);
    const int first = output(slice);
    write_columns(y, s.y + member * s.out + first, s.out, begin + 16 * (warp % 4), s.rows,
                  s.out - first, lane);
  }
}

}  // namespace

void few_norm_linear_forward(const NormLinearShape& shape, const NormLinearArgs& s, Stream stream) {
  using C = FewRows;
  cudaFuncSetAttribute(few_forward, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const dim3 grid(C::blocks * blocks_for(shape.rows, C::own), static_cast<unsigned>(shape.members));
  few_forward<<<grid, C::threads, C::bytes, stream>>>(s, norm_maps<C>(shape, s));
  check_launch();
}

}  // namespace rung::cuda

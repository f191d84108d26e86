// RMSNorm and the map behind it at width 128: outputs pass by in slices while a block keeps its
// rows.
#include "ops/cuda/hopper/shared_rows.cuh"
#include "ops/cuda/hopper/wide_norm_linear.cuh"

namespace rung::cuda {
namespace {

// Rows, and a ring of slices of the matrix, `slice` outputs each; backward the gradient around the
// norm and with each slice its outputs' gradients besides.
template <int groups_, bool backward>
struct Slices {
  static constexpr int groups = groups_, threads = 128 * groups, own = 64 * groups;
  static constexpr int users = 4 * groups, stages = backward ? 3 : 2, slice = backward ? 64 : 128;
  static constexpr int rows_bytes = own * wide_row * 2, matrix_bytes = slice * wide_row * 2;
  static constexpr int slice_bytes = matrix_bytes + (backward ? own * slice * 2 : 0);
  static constexpr int buffers = backward ? 2 : 1;
  static constexpr int ring_at = buffers * rows_bytes, rstd_at = ring_at + stages * slice_bytes;
  static constexpr int barriers_at = rstd_at + own * 4;  // the ring's, then that of the rows
  static constexpr int bytes = 1024 + barriers_at + stages * 16 + 8;
};

template <int groups>
__global__ void __launch_bounds__(128 * groups, 2)
    forward(NormLinearArgs s, const __grid_constant__ NormMaps maps) {
  using C = Slices<groups, false>;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const Ring<C> ring{base + C::ring_at, base + C::barriers_at};
  const uint32_t rows_came = ring.barriers + ring.barrier_bytes;
  unsigned char* const x = shared + (base - start);
  float* const rstd = reinterpret_cast<float*>(x + C::rstd_at);
  const int begin = blockIdx.x * C::own, slices = (s.out + C::slice - 1) / C::slice;
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows;
  const auto load = [&](int slice) {
    ring.announce_slice(slice);
    copy_panels(ring.slice(slice), maps.matrix, ring.full(slice), slice * C::slice,
                C::matrix_bytes / 2);
  };
  if (threadIdx.x == 0)
    begin_norm_linear(ring, maps, base, rows_came, begin, nullptr, slices, load);
  __syncthreads();
  wait_barrier(rows_came, 0);
  normalise<C>(x, s.epsilon, rstd, nullptr, begin, s.rows);
  show_copies();
  __syncthreads();
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const uint64_t own = describe(base + warp / 4 * 64 * panel_row, 0);
  for (int slice = 0; slice < slices; ++slice) {
    ring.wait(slice);
    const uint64_t rows = describe(ring.slice(slice), 0);
    float sum[16][4];
    multiply_rows<C, C::slice>(sum, own, rows);
    ring.done(slice, lane);
    if (threadIdx.x == 0) ring.replace(slice, slices, load);
    __syncwarp();
    Quad y[8];
#pragma unroll
    for (int k = 0; k < 8; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        y[k][i] = pack2(s.factor * sum[2 * k + i / 2][i % 2 * 2],
                        s.factor * sum[2 * k + i / 2][i % 2 * 2 + 1]);
    const int first = slice * C::slice;
#pragma unroll
    for (int half = 0; half < 2; ++half)
      write_columns(y + 4 * half, s.y + member * s.out + first + 64 * half, s.out,
                    begin + 16 * warp, s.rows, s.out - first - 64 * half, lane);
  }
}

template <int groups>
__global__ void __launch_bounds__(128 * groups, 3 - groups)
    backward(NormLinearArgs s, const __grid_constant__ NormMaps maps) {
  using C = Slices<groups, true>;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const Ring<C> ring{base + C::ring_at, base + C::barriers_at};
  const uint32_t rows_came = ring.barriers + ring.barrier_bytes;
  unsigned char *const unit = shared + (base - start), *const around = unit + C::rows_bytes;
  float* const rstd = reinterpret_cast<float*>(unit + C::rstd_at);
  const int begin = blockIdx.x * C::own, slices = (s.out + C::slice - 1) / C::slice;
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows * wide_row;
  const auto load = [&](int slice) {
    ring.announce_slice(slice);
    const uint32_t to = ring.slice(slice);
    copy_panels(to, maps.matrix, ring.full(slice), slice * C::slice, C::matrix_bytes / 2);
    copy_box(to + C::matrix_bytes, maps.dy, ring.full(slice), slice * C::slice, begin, 0,
             static_cast<int>(blockIdx.y));
  };
  if (threadIdx.x == 0) begin_norm_linear(ring, maps, base, rows_came, begin, s.dh, slices, load);
  if (!s.dh)  // no gradient around the norm
    for (int i = threadIdx.x; i < C::rows_bytes / 16; i += C::threads)
      reinterpret_cast<uint4*>(around)[i] = make_uint4(0, 0, 0, 0);
  __syncthreads();
  wait_barrier(rows_came, 0);
  normalise<C>(unit, s.epsilon, rstd, s.unit ? s.unit + member : nullptr, begin, s.rows);
  __syncthreads();
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  float du[16][4] = {};
  for (int slice = 0; slice < slices; ++slice) {
    ring.wait(slice);
    const uint32_t at = ring.slice(slice);
    const uint64_t lines = describe(at, C::slice * panel_row);
    const uint64_t dy = describe(at + C::matrix_bytes + warp / 4 * 64 * panel_row, 0);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < C::slice / 16; ++k)
      multiply_add<1>(du, moved(dy, k * 32), moved(lines, k * 16 * panel_row));
    wgmma_commit();
    wgmma_wait<0>();
    pin(du);
    ring.done(slice, lane);
    if (threadIdx.x == 0) ring.replace(slice, slices, load);
    __syncwarp();
  }
  finish_rows<C>(s.stream, du, unit, around, rstd, 16 * warp, lane);
  __syncwarp();
  write_own<C>(around, s.stream.dx + member, 16 * warp, begin, s.rows, lane);
}

template <class C, class Kernel>
void launch(Kernel kernel, const NormLinearShape& shape, const NormLinearArgs& s, Stream stream) {
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const dim3 grid(blocks_for(shape.rows, C::own), static_cast<unsigned>(shape.members));
  kernel<<<grid, C::threads, C::bytes, stream>>>(s, norm_maps<C>(shape, s));
  check_launch();
}

}  // namespace

void wide_norm_linear_forward(const NormLinearShape& shape, const void* x, const void* matrix,
                              float factor, void* y, Stream stream) {
  NormLinearArgs s = norm_linear_args(shape, x, matrix);
  s.y = static_cast<bf16*>(y);
  s.factor = factor;
  if (spreads(shape.members, shape.rows))
    few_norm_linear_forward(shape, s, stream);
  else if (shape.members * shape.rows <= 64 * processors())
    launch<Slices<1, false>>(forward<1>, shape, s, stream);
  else
    launch<Slices<2, false>>(forward<2>, shape, s, stream);
}

void wide_norm_linear_backward(const NormLinearShape& shape, const void* x, const void* matrix,
                               const WideNormLinearGradient& g, Stream stream) {
  NormLinearArgs s = norm_linear_args(shape, x, matrix);
  s.dy = static_cast<const bf16*>(g.dy);
  s.dh = static_cast<const bf16*>(g.dh);
  s.unit = static_cast<bf16*>(g.unit);
  s.stream = {static_cast<bf16*>(g.dx), nullptr, g.input_factor, 1.0f, 1.0f, 1.0f, 1.0f};
  launch<Slices<1, true>>(backward<1>, shape, s, stream);
}

}  // namespace rung::cuda

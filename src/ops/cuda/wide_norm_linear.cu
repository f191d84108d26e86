// RMSNorm and the map behind it at width 128: outputs pass by in slices while a block keeps its
// rows.
#include "ops/cuda/norm_linear.h"
#include "ops/cuda/wide_rows.cuh"

namespace rung::cuda {
namespace {

struct Args {
  const bf16 *x, *matrix, *dy, *dh;
  bf16 *y, *unit;
  StreamBack stream;
  int64_t stride;
  int rows, out;
  float epsilon, factor;
};

// Rows, and a ring of two slices of the matrix, `slice_` outputs each; backward the gradient around
// the norm and a slice of the outputs' gradient besides.
template <int groups_, int slice_, bool backward>
struct Slices {
  static constexpr int groups = groups_, threads = 128 * groups, own = 64 * groups, stages = 2;
  static constexpr int slice = slice_, rows_bytes = own * wide_row * 2;
  static constexpr int matrix_bytes = slice * wide_row * 2;
  static constexpr int slice_bytes = matrix_bytes + (backward ? own * slice * 2 : 0);
  static constexpr int bytes =
      1024 + (backward ? 2 : 1) * rows_bytes + stages * slice_bytes + own * 4;
};

// Rows of the matrix from output `first` on; zeros beyond the last.
template <class C>
__device__ void load_matrix(uint32_t to, const bf16* matrix, int first, int out) {
  constexpr int pieces = wide_row / 8;
#pragma unroll 4
  for (int i = threadIdx.x; i < C::slice * pieces; i += C::threads) {
    const int row = i / pieces, piece = i % pieces;
    const bool real = first + row < out;
    copy_async<16>(to + piece_at(C::slice, row, piece),
                   matrix + (real ? first + row : 0) * wide_row + 8 * piece, real);
  }
}

// The outputs' gradients [own, slice]; zeros beyond the last row and output.
template <class C>
__device__ void load_outputs(uint32_t to, const bf16* dy, int first, int out, int begin, int end) {
  constexpr int pieces = C::slice / 8;
#pragma unroll 4
  for (int i = threadIdx.x; i < C::own * pieces; i += C::threads) {
    const int row = i / pieces, piece = i % pieces, column = first + 8 * piece;
    const bool real = begin + row < end && column < out;
    copy_async<16>(to + piece_at(C::own, row, piece),
                   real ? dy + static_cast<int64_t>(begin + row) * out + column : dy, real);
  }
}

template <int groups>
__global__ void __launch_bounds__(128 * groups, 2) forward(Args s) {
  using C = Slices<groups, 128, false>;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const uint32_t ring = base + C::rows_bytes;
  unsigned char* const x = shared + (base - start);
  float* const rstd = reinterpret_cast<float*>(x + C::rows_bytes + C::stages * C::slice_bytes);
  const int begin = blockIdx.x * C::own;
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows;
  const bf16* const matrix = s.matrix + blockIdx.y * s.stride;
  load_own<C>(base, s.x + member * wide_row, begin, s.rows);
  commit_copies();
  load_matrix<C>(ring, matrix, 0, s.out);
  commit_copies();
  wait_copies<1>();
  __syncthreads();
  normalise<C>(x, s.epsilon, rstd, nullptr, begin, s.rows);
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const uint64_t own = describe(base + warp / 4 * 64 * panel_row, 0);
  int slot = 0;
  for (int first = 0; first < s.out; first += C::slice, slot ^= 1) {
    wait_copies<0>();
    show_copies();
    __syncthreads();  // the slice has arrived, and the one before is done with
    if (first + C::slice < s.out)
      load_matrix<C>(ring + (slot ^ 1) * C::slice_bytes, matrix, first + C::slice, s.out);
    commit_copies();
    const uint64_t rows = describe(ring + slot * C::slice_bytes, 0);
    float sum[16][4];
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < wide_row / 16; ++k) {
      const uint64_t a = moved(own, k / 4 * C::own * panel_row + k % 4 * 32);
      const uint64_t b = moved(rows, k / 4 * C::slice * panel_row + k % 4 * 32);
      if (k == 0)
        multiply(sum, a, b);
      else
        multiply_add(sum, a, b);
    }
    wgmma_commit();
    wgmma_wait<0>();
    pin(sum);
    Quad y[8];
#pragma unroll
    for (int k = 0; k < 8; ++k)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        y[k][i] = pack2(s.factor * sum[2 * k + i / 2][i % 2 * 2],
                        s.factor * sum[2 * k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
    for (int half = 0; half < 2; ++half)
      write_columns(y + 4 * half, s.y + member * s.out + first + 64 * half, s.out,
                    begin + 16 * warp, s.rows, s.out - first - 64 * half, lane);
  }
}

template <int groups>
__global__ void __launch_bounds__(128 * groups, 3 - groups) backward(Args s) {
  using C = Slices<groups, 64, true>;
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const uint32_t ring = base + 2 * C::rows_bytes;
  unsigned char *const unit = shared + (base - start), *const around = unit + C::rows_bytes;
  float* const rstd = reinterpret_cast<float*>(around + C::rows_bytes + C::stages * C::slice_bytes);
  const int begin = blockIdx.x * C::own;
  const int64_t rows = static_cast<int64_t>(blockIdx.y) * s.rows, member = rows * wide_row;
  const bf16* const matrix = s.matrix + blockIdx.y * s.stride;
  const auto load = [&](int slot, int first) {
    const uint32_t to = ring + slot * C::slice_bytes;
    load_matrix<C>(to, matrix, first, s.out);
    load_outputs<C>(to + C::matrix_bytes, s.dy + rows * s.out, first, s.out, begin, s.rows);
  };
  load_own<C>(base, s.x + member, begin, s.rows);
  // Without a gradient around the norm: zeros.
  load_own<C>(base + C::rows_bytes, s.dh ? s.dh + member : s.x, begin, s.dh ? s.rows : 0);
  commit_copies();
  load(0, 0);
  commit_copies();
  wait_copies<1>();
  __syncthreads();
  normalise<C>(unit, s.epsilon, rstd, s.unit ? s.unit + member : nullptr, begin, s.rows);
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  float du[16][4] = {};
  int slot = 0;
  for (int first = 0; first < s.out; first += C::slice, slot ^= 1) {
    wait_copies<0>();
    show_copies();
    __syncthreads();  // the slice has arrived, and the one before is done with
    if (first + C::slice < s.out) load(slot ^ 1, first + C::slice);
    commit_copies();
    const uint32_t at = ring + slot * C::slice_bytes;
    const uint64_t lines = describe(at, C::slice * panel_row);
    const uint64_t dy = describe(at + C::matrix_bytes + warp / 4 * 64 * panel_row, 0);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < C::slice / 16; ++k)
      multiply_add<1>(du, moved(dy, k * 32), moved(lines, k * 16 * panel_row));
    wgmma_commit();
    wgmma_wait<0>();
    pin(du);
  }
  finish_rows<C>(s.stream, du, unit, around, rstd, 16 * warp, lane);
  __syncwarp();
  write_own<C>(around, s.stream.dx + member, 16 * warp, begin, s.rows, lane);
}

Args args_of(const NormLinearShape& shape, const void* x, const void* matrix) {
  Args s{};
  s.x = static_cast<const bf16*>(x);
  s.matrix = static_cast<const bf16*>(matrix);
  s.stride = shape.stride;
  s.rows = static_cast<int>(shape.rows);
  s.out = static_cast<int>(shape.out);
  s.epsilon = shape.epsilon;
  return s;
}

template <class C, class Kernel>
void launch(Kernel kernel, const NormLinearShape& shape, const Args& s, Stream stream) {
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const dim3 grid(blocks_for(shape.rows, C::own), static_cast<unsigned>(shape.members));
  kernel<<<grid, C::threads, C::bytes, stream>>>(s);
  check_launch();
}

}  // namespace

void wide_norm_linear_forward(const NormLinearShape& shape, const void* x, const void* matrix,
                              float factor, void* y, Stream stream) {
  Args s = args_of(shape, x, matrix);
  s.y = static_cast<bf16*>(y);
  s.factor = factor;
  if (shape.members * shape.rows <= 64 * processors())
    launch<Slices<1, 128, false>>(forward<1>, shape, s, stream);
  else
    launch<Slices<2, 128, false>>(forward<2>, shape, s, stream);
}

void wide_norm_linear_backward(const NormLinearShape& shape, const void* x, const void* matrix,
                               const WideNormLinearGradient& g, Stream stream) {
  Args s = args_of(shape, x, matrix);
  s.dy = static_cast<const bf16*>(g.dy);
  s.dh = static_cast<const bf16*>(g.dh);
  s.unit = static_cast<bf16*>(g.unit);
  s.stream = {static_cast<bf16*>(g.dx), nullptr, g.input_factor, 1.0f, 1.0f, 1.0f, 1.0f};
  launch<Slices<1, 64, true>>(backward<1>, shape, s, stream);
}

}  // namespace rung::cuda

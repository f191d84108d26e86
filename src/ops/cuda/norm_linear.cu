// RMSNorm and the map behind it: forward a warp takes 16 rows, backward a warp owns 16 outputs and
// keeps their rows of the matrix's gradient in registers while the block's rows pass by.
#include "ops/cuda/narrow_backward.cuh"
#include "ops/cuda/norm_linear.h"

namespace rung::cuda {
namespace {

// Warps of a forward block at most; of a backward block one for every 16 outputs.
constexpr int most_forward = 16, most_backward = 12;

struct Args {
  const bf16 *x, *matrix, *dy, *dh;
  bf16* y;
  StreamGradient gradient;
  float* partial;
  int64_t stride;
  int rows, tile, per_block, chunks;  // chunks of 16 outputs
  float epsilon, factor;
};

template <int D>
__global__ void __launch_bounds__(32 * most_forward) forward(Args s) {
  extern __shared__ __align__(16) bf16 shared[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const int out = 16 * s.chunks, out_line = out + 8;
  bf16 *const matrix = shared, *const x = matrix + out * line<D> + warp * 16 * (line<D> + out_line);
  bf16* const y = x + 16 * line<D>;
  load_rows<D>(matrix, s.matrix + blockIdx.y * s.stride, 0, out, out, threadIdx.x, blockDim.x);
  commit_copies();
  const Tile<line<D>> tile{matrix, lane};
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows;
  for (int base = blockIdx.x * 16 * warps; base < s.rows; base += gridDim.x * 16 * warps) {
    const int row = base + 16 * warp;
    load_rows<D>(x, s.x + member * D, row, s.rows, 16, lane, 32);
    commit_copies();
    wait_copies<0>();
    if (base == static_cast<int>(blockIdx.x) * 16 * warps)
      __syncthreads();  // the matrix is there
    else
      __syncwarp();
    Quad a[D / 16];
    read_rows<D, true>(a, {nullptr, 1.0f, 0.0f, s.epsilon}, x, nullptr, lane);
#pragma unroll 2
    for (int n = 0; n < s.chunks; ++n) {
      float sum[2][4] = {};
#pragma unroll
      for (int k = 0; k < D / 16; ++k) {
        Quad b;
        tile.as_b_of_rows(b, n, k);
        multiply_add(sum, a[k], b);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i)
        *reinterpret_cast<uint32_t*>(y + (lane / 4 + i % 2 * 8) * out_line + 16 * n + lane % 4 * 2 +
                                     i / 2 * 8) =
            pack2(s.factor * sum[i / 2][i % 2 * 2], s.factor * sum[i / 2][i % 2 * 2 + 1]);
    }
    __syncwarp();
    const int vectors = out / 8;
#pragma unroll 4
    for (int i = lane; i < 16 * vectors; i += 32) {
      const int r = i / vectors, at = i % vectors * 8;
      if (row + r < s.rows)
        *reinterpret_cast<uint4*>(s.y + (member + row + r) * out + at) =
            *reinterpret_cast<const uint4*>(y + r * out_line + at);
    }
    __syncwarp();  // the stages have been read
  }
}

// Where things lie in a backward block; buffers of rows are double.
template <int D>
struct Shared {
  int out;
  bf16* base;
  static constexpr int stage = tile_rows * line<D>;
  __device__ int out_line() const { return out + 8; }
  __device__ bf16* matrix() const { return base; }
  __device__ bf16* x(int buffer) const { return matrix() + out * line<D> + buffer * stage; }
  __device__ bf16* dh(int buffer) const { return x(2 + buffer); }
  __device__ bf16* du() const { return x(4); }
  __device__ bf16* dy(int buffer) const { return x(5) + buffer * tile_rows * out_line(); }
  __device__ float* rstd() const { return reinterpret_cast<float*>(dy(2)); }
  static int bytes(int out) {
    return 2 * (out * line<D> + 5 * stage + 2 * tile_rows * (out + 8)) + 4 * tile_rows;
  }
};

__device__ inline void load_outputs(bf16* to, const bf16* from, int begin, int end, int rows,
                                    int out) {
  const int vectors = out / 8;
  for (int i = threadIdx.x; i < rows * vectors; i += blockDim.x) {
    const int row = i / vectors, at = i % vectors * 8;
    const bool real = begin + row < end;
    copy16(to + row * (out + 8) + at,
           from + static_cast<int64_t>(real ? begin + row : 0) * out + at, real);
  }
}

// du = dy matrix: 32 rows by 16 columns a warp and turn.
template <int D>
__device__ void input_gradient(const Tile<0>& dy, const Tile<line<D>>& matrix, int rows, int chunks,
                               float factor, bf16* to, int warp) {
  constexpr int columns = D / 16;
  const int lane = dy.lane, warps = blockDim.x / 32;
  for (int u = warp; u < rows / 32 * columns; u += warps) {
    const int m = u / columns, n = u % columns;
    float sum[2][2][4] = {};
#pragma unroll 4
    for (int k = 0; k < chunks; ++k) {
      Quad a[2], b;
      dy.as_a(a[0], 2 * m, k);
      dy.as_a(a[1], 2 * m + 1, k);
      matrix.as_b_of_columns(b, k, n);
#pragma unroll
      for (int t = 0; t < 2; ++t) {
        multiply_add(sum[t], a[t], b);
      }
    }
    write_product<D>(sum, factor, to, m, n, lane);
  }
}

template <int D>
__global__ void __launch_bounds__(32 * most_backward, 1) backward(Args s) {
  extern __shared__ __align__(16) bf16 shared[];
  const Shared<D> at{16 * s.chunks, shared};
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int begin = blockIdx.x * s.per_block, end = min(begin + s.per_block, s.rows);
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows;
  const auto load = [&](int buffer, int row) {
    load_rows<D>(at.x(buffer), s.x + member * D, row, end, s.tile, threadIdx.x, blockDim.x);
    if (s.dh)
      load_rows<D>(at.dh(buffer), s.dh + member * D, row, end, s.tile, threadIdx.x, blockDim.x);
    load_outputs(at.dy(buffer), s.dy + member * at.out, row, end, s.tile, at.out);
    commit_copies();
  };
  load_rows<D>(at.matrix(), s.matrix + blockIdx.y * s.stride, 0, at.out, at.out, threadIdx.x,
               blockDim.x);
  load(0, begin);
  load(1, begin + s.tile);
  float sum[D / 8][4] = {};
  int buffer = 0;
  for (int row = begin; row < end; row += s.tile, buffer ^= 1) {
    bf16* const x = at.x(buffer);
    wait_copies<1>();
    __syncthreads();
    normalise<D>(x, s.tile, at.rstd(), s.epsilon);
    __syncthreads();
    const Tile<line<D>> units{x, lane};
    const Tile<0> dy{at.dy(buffer), lane, at.out_line()};
#pragma unroll 2
    for (int step = 0; step < s.tile / 16; ++step) {
      Quad a, b;
      dy.as_a_of_columns(a, step, warp);
#pragma unroll
      for (int n = 0; n < D / 16; ++n) {
        units.as_b_of_columns(b, step, n);
        multiply_add(sum + 2 * n, a, b);
      }
    }
    input_gradient<D>(dy, {at.matrix(), lane}, s.tile, s.chunks, s.factor, at.du(), warp);
    __syncthreads();
    write_input_gradient<D, true>(s.gradient, at.du(), false, x, s.tile, at.rstd(), member * D, row,
                                  end, {s.dh ? at.dh(buffer) : nullptr, 1.0f});
    load(buffer, row + 2 * s.tile);  // of x and dh a thread overwrites what it has just read
  }
  wait_copies<0>();
  if (!s.partial) return;
  float* const to =
      s.partial + (static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * at.out * D;
#pragma unroll
  for (int n = 0; n < D / 8; ++n)
#pragma unroll
    for (int r = 0; r < 2; ++r)
      *reinterpret_cast<float2*>(to + (16 * warp + lane / 4 + 8 * r) * D + 8 * n + lane % 4 * 2) =
          make_float2(sum[n][2 * r], sum[n][2 * r + 1]);
}

Args args_of(const NormLinearShape& shape, const void* x, const void* matrix) {
  Args s{};
  s.x = static_cast<const bf16*>(x);
  s.matrix = static_cast<const bf16*>(matrix);
  s.stride = shape.stride;
  s.rows = static_cast<int>(shape.rows);
  s.chunks = static_cast<int>(shape.out / 16);
  s.epsilon = shape.epsilon;
  return s;
}

}  // namespace

void norm_linear_forward(const NormLinearShape& shape, const void* x, const void* matrix,
                         float factor, void* y, Stream stream) {
  Args s = args_of(shape, x, matrix);
  s.y = static_cast<bf16*>(y);
  s.factor = factor;
  // Few rows: small blocks, so that every multiprocessor has some.
  const int64_t tiles = (shape.rows + 15) / 16, available = processors();
  const int64_t even = (tiles * shape.members + available - 1) / available;
  const int warps = static_cast<int>(even < 2 ? 2 : even > most_forward ? most_forward : even);
  const int64_t most = available > shape.members ? available / shape.members : 1,
                wanted = (tiles + warps - 1) / warps;
  const dim3 grid(static_cast<unsigned>(wanted < most ? wanted : most),
                  static_cast<unsigned>(shape.members));
  with_width(shape.width, [&](auto width) {
    constexpr int D = decltype(width)::value;
    const int out = static_cast<int>(shape.out);
    const int bytes = 2 * (out * line<D> + warps * 16 * (line<D> + out + 8));
    allow_shared(forward<D>, bytes);
    forward<D><<<grid, 32 * warps, bytes, stream>>>(s);
  });
  check_launch();
}

int64_t norm_linear_blocks(const NormLinearShape& shape) {
  const int64_t each = share_rows(shape.members, shape.rows).rows;
  return (shape.rows + each - 1) / each;
}

void norm_linear_backward(const NormLinearShape& shape, const void* x, const void* matrix,
                          const NormLinearGradient& g, Stream stream) {
  Args s = args_of(shape, x, matrix);
  s.dy = static_cast<const bf16*>(g.dy);
  s.dh = static_cast<const bf16*>(g.dh);
  s.partial = g.dmatrix ? g.partial : nullptr;
  s.factor = g.input_factor;
  s.gradient = {static_cast<bf16*>(g.dx), nullptr, shape.epsilon, 1.0f, 1.0f, 1.0f};
  const Share share = share_rows(shape.members, shape.rows);
  s.tile = share.tile;
  s.per_block = static_cast<int>(share.rows);
  const dim3 grid(static_cast<unsigned>(norm_linear_blocks(shape)),
                  static_cast<unsigned>(shape.members));
  with_width(shape.width, [&](auto width) {
    constexpr int D = decltype(width)::value;
    const int bytes = Shared<D>::bytes(static_cast<int>(shape.out));
    allow_shared(backward<D>, bytes);
    backward<D><<<grid, 32 * s.chunks, bytes, stream>>>(s);
  });
  check_launch();
}

void norm_linear_join(const NormLinearShape& shape, const NormLinearGradient& g, Stream stream) {
  add_up(shape.members, norm_linear_blocks(shape), g.partial,
         {g.dmatrix, g.dmatrix_stride, shape.out * shape.width, g.matrix_factor}, {}, stream);
  check_launch();
}

}  // namespace rung::cuda

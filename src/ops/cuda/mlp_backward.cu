// The ffn's backward pass: a warp owns 16 hidden units and keeps their gradients in registers while
// the block's rows pass by.
#include "ops/cuda/mlp_units.cuh"

namespace rung::cuda {
namespace {

// du of the tile's rows: 32 rows by 16 columns a warp and turn.
template <int D>
__device__ void input_gradient(const Tile<unit_line>& units, const Tile<line<D>>& first, int rows,
                               int blocks, float factor, bf16* to, int warp) {
  constexpr int columns = D / 16;
  const int lane = units.lane, warps = blockDim.x / 32;
  for (int u = warp; u < rows / 32 * columns; u += warps) {
    const int m = u / columns, n = u % columns;
    float sum[2][2][4] = {};
#pragma unroll 4
    for (int k = 0; k < blocks; ++k) {
      Quad a[2], b;
      units.as_a_of_columns(a[0], k, 2 * m);
      units.as_a_of_columns(a[1], k, 2 * m + 1);
      first.as_b_of_columns(b, k, n);
#pragma unroll
      for (int t = 0; t < 2; ++t) {
        multiply_add(sum[t], a[t], b);
      }
    }
    write_product<D>(sum, factor, to, m, n, lane);
  }
}

// The rows' df behind the map: 32 rows by 16 columns a warp and turn, to global memory.
template <int D>
__device__ void map_back(const Tile<line<D>>& df, const Tile<line<D>>& map, const Backward& s,
                         int64_t member, int begin, int end, int warp) {
  constexpr int columns = D / 16;
  const int lane = df.lane, warps = blockDim.x / 32;
  for (int u = warp; u < s.tile / 32 * columns; u += warps) {
    const int m = u / columns, n = u % columns;
    float sum[2][2][4] = {};
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      Quad a, b;
      map.as_b_of_columns(b, k, n);
#pragma unroll
      for (int t = 0; t < 2; ++t) {
        df.as_a(a, 2 * m + t, k);
        multiply_add(sum[t], a, b);
      }
    }
#pragma unroll
    for (int t = 0; t < 2; ++t)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int row = begin + 32 * m + 16 * t + lane / 4 + 8 * r;
        if (row >= end) continue;
#pragma unroll
        for (int j = 0; j < 2; ++j)
          *reinterpret_cast<uint32_t*>(s.dmapped + member + static_cast<int64_t>(row) * D + 16 * n +
                                       8 * j + lane % 4 * 2) =
              pack2(s.map_factor * sum[t][j][2 * r], s.map_factor * sum[t][j][2 * r + 1]);
      }
  }
}

// The block's sums of the matrices' gradients: [parts inner, D] and [D, inner].
template <int D, int parts>
__device__ void write_partial(const Gradients<D, parts>& sum, const Backward& s, float* shared) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, padded = 16 * s.chunks;
  const int64_t index = static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
  float* const to = s.partial + index * (parts + 1) * s.inner * D;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int unit = 16 * warp + lane / 4 + 8 * r;
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
      const int column = 8 * n + lane % 4 * 2;
      if (unit < s.inner)
#pragma unroll
        for (int part = 0; part < parts; ++part)
          *reinterpret_cast<float2*>(to + (part * s.inner + unit) * D + column) =
              make_float2(sum.first[part][n][2 * r], sum.first[part][n][2 * r + 1]);
      shared[column * (padded + 4) + unit] = sum.second[n][2 * r];
      shared[(column + 1) * (padded + 4) + unit] = sum.second[n][2 * r + 1];
    }
  }
  __syncthreads();
  const int vectors = s.inner / 4;
  float* const second = to + parts * s.inner * D;
  for (int i = threadIdx.x; i < D * vectors; i += blockDim.x) {
    const int row = i / vectors, at = i % vectors * 4;
    *reinterpret_cast<float4*>(second + row * s.inner + at) =
        *reinterpret_cast<const float4*>(shared + row * (padded + 4) + at);
  }
}

template <int D, Curve curve, bool block>
__global__ void __launch_bounds__(32 * most_warps, 1) backward(Backward s) {
  constexpr int parts = gated<curve> ? 2 : 1;
  extern __shared__ __align__(16) bf16 shared[];
  const Shared<D, parts> at{16 * s.chunks, s.tile, shared};
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int begin = blockIdx.x * s.per_block, end = min(begin + s.per_block, s.rows);
  const int64_t member = static_cast<int64_t>(blockIdx.y) * s.rows * D;
  const auto load = [&](int buffer, int row) {
    load_rows<D>(at.x(buffer), s.x + member, row, end, s.tile, threadIdx.x, blockDim.x);
    load_rows<D>(at.dout(buffer), s.dout + member, row, end, s.tile, threadIdx.x, blockDim.x);
    commit_copies();
  };
  load_first<D>(at.first(), s.first + blockIdx.y * s.first_stride, parts, s.inner, at.padded);
  load_second<D>(at.second(), s.second + blockIdx.y * s.second_stride, s.inner, at.padded);
  if (block && s.map)
    load_rows<D>(at.map(), s.map + blockIdx.y * s.map_stride, 0, D, D, threadIdx.x, blockDim.x);
  load(0, begin);
  load(1, begin + s.tile);
  Gradients<D, parts> sum;
  int buffer = 0;
  for (int row = begin; row < end; row += s.tile, buffer ^= 1) {
    bf16 *const x = at.x(buffer), *const dout = at.dout(buffer);
    wait_copies<1>();
    __syncthreads();
    if constexpr (block) {
      normalise<D>(x, s.tile, at.rstd(), s.stream.epsilon);
      __syncthreads();
    }
    const Rows<D> in{
        {at.first(), lane}, {x, lane}, {dout, lane}, {at.second(), lane, at.padded + 8}};
#pragma unroll 1
    for (int step = 0; step < s.tile / 16; ++step)
      pass_rows<D, curve>(sum, s, in, at.units(), warp, step);
    __syncthreads();  // units are there, and both buffers have been read
    input_gradient<D>({at.units(), lane}, in.first, s.tile, parts * s.chunks, s.dinput, at.rows(),
                      warp);
    __syncthreads();
    write_input_gradient<D, block>(s.stream, at.rows(), s.map != nullptr, x, s.tile, at.rstd(),
                                   member, row, end, {dout, s.out_skip});
    if (block && s.map) {
      __syncthreads();
      map_back<D>({at.rows(), lane}, {at.map(), lane}, s, member, row, end, warp);
    }
    load(buffer, row + 2 * s.tile);  // a thread overwrites what it has just read
  }
  wait_copies<0>();
  __syncthreads();
  // The second matrix's sums are turned in the space of the units' and rows' gradients.
  if (s.partial) write_partial<D, parts>(sum, s, reinterpret_cast<float*>(at.units()));
}

int parts_of(Curve curve) {
  return curve == Curve::swiglu || curve == Curve::geglu ? 2 : 1;
}

template <int D, Curve curve, bool block>
void launch(const MlpShape& shape, const Backward& s, Stream stream) {
  constexpr int parts = gated<curve> ? 2 : 1;
  const int bytes = Shared<D, parts>::bytes(16 * s.chunks, s.tile, s.map != nullptr);
  const auto kernel = backward<D, curve, block>;
  allow_shared(kernel, bytes);
  const dim3 grid(static_cast<unsigned>(mlp_blocks(shape)), static_cast<unsigned>(shape.members));
  kernel<<<grid, 32 * s.chunks, bytes, stream>>>(s);
}

}  // namespace

int64_t mlp_blocks(const MlpShape& shape) {
  const int64_t each = share_rows(shape.members, shape.rows).rows;
  return (shape.rows + each - 1) / each;
}

bool mlp_maps_back(const MlpShape& shape) {
  return share_rows(shape.members, shape.rows).tile < tile_rows;
}

void mlp_backward(const MlpShape& shape, const MlpBackward& b, Stream stream) {
  Backward s{};
  s.x = static_cast<const bf16*>(b.x);
  s.first = static_cast<const bf16*>(b.first);
  s.second = static_cast<const bf16*>(b.second);
  s.dout = static_cast<const bf16*>(b.dout);
  s.stream.dx = static_cast<bf16*>(b.dx);
  s.partial = b.dfirst ? b.partial : nullptr;
  s.first_stride = shape.first_stride;
  s.second_stride = shape.second_stride;
  s.rows = static_cast<int>(shape.rows);
  const Share share = share_rows(shape.members, shape.rows);
  s.tile = share.tile;
  s.per_block = static_cast<int>(share.rows);
  s.inner = static_cast<int>(shape.inner);
  s.chunks = static_cast<int>((shape.inner + 15) / 16);
  s.first_factor = b.first_factor;
  s.slope = shape.slope;
  s.activation = b.activation;
  s.dhidden = b.dhidden;
  s.dinput = b.dinput;
  if (b.block) {
    s.stream = {s.stream.dx,      static_cast<bf16*>(b.block->df),
                b.block->epsilon, b.block->input_gradient,
                b.block->skip,    b.block->branch};
    s.out_skip = b.block->out_skip;
    if (b.block->dmapped) {
      s.map = static_cast<const bf16*>(b.block->map);
      s.map_stride = b.block->map_stride;
      s.map_factor = b.block->map_factor;
      s.dmapped = static_cast<bf16*>(b.block->dmapped);
    }
  }
  with_width(shape.width, [&](auto width) {
    with_curve(shape.curve, [&](auto curve) {
      constexpr int D = decltype(width)::value;
      constexpr Curve C = decltype(curve)::value;
      if (b.block)
        launch<D, C, true>(shape, s, stream);
      else
        launch<D, C, false>(shape, s, stream);
    });
  });
  check_launch();
}

void mlp_join(const MlpShape& shape, const MlpBackward& b, Stream stream) {
  const int64_t second = shape.inner * shape.width, first = parts_of(shape.curve) * second;
  add_up(shape.members, mlp_blocks(shape), b.partial,
         {b.dfirst, b.dfirst_stride, first, b.dfirst_factor},
         {b.dsecond, b.dsecond_stride, second, b.dsecond_factor}, stream);
  check_launch();
}

}  // namespace rung::cuda

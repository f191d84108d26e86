// What backward passes of narrow matrices share: rows that stay in shared memory while every
// product with them is taken, the norm before them, and sums over the blocks.
#pragma once
#include "ops/cuda/narrow.cuh"

namespace rung::cuda {
namespace {

// Rows that a block has room for in shared memory at a time; with few rows it takes fewer.
constexpr int tile_rows = 96;

// x, `rows` of them, becomes its RMSNorm; D / 8 threads a row.
template <int D>
__device__ void normalise(bf16* x, int rows, float* rstd, float epsilon) {
  constexpr int vectors = D / 8;
  for (int i = threadIdx.x; i < rows * vectors; i += blockDim.x) {
    const int row = i / vectors;
    bf16* const at = x + row * line<D> + i % vectors * 8;
    float h[8], squares = 0.0f;
    load8(at, h);
#pragma unroll
    for (int k = 0; k < 8; ++k) squares += h[k] * h[k];
    const float scale = rsqrtf(group_sum<vectors>(squares) / D + epsilon);
#pragma unroll
    for (int k = 0; k < 8; ++k) h[k] *= scale;
    store8(at, h);
    if (i % vectors == 0) rstd[row] = scale;
  }
}

// sum += A B for an A of 16 units by 16 rows and the B of these rows.
template <int D>
__device__ inline void add_rows(float (&sum)[D / 8][4], const Quad& a, const Quad (&b)[D / 16]) {
#pragma unroll
  for (int n = 0; n < D / 16; ++n) {
    multiply_add(sum[2 * n], a, b[n][0], b[n][1]);
    multiply_add(sum[2 * n + 1], a, b[n][2], b[n][3]);
  }
}

// A product's 32 rows by 16 columns, rounded, into the rows of a tile.
template <int D>
__device__ void write_product(const float (&sum)[2][2][4], float factor, bf16* to, int m, int n,
                              int lane) {
#pragma unroll
  for (int t = 0; t < 2; ++t)
#pragma unroll
    for (int j = 0; j < 2; ++j)
#pragma unroll
      for (int r = 0; r < 2; ++r)
        *reinterpret_cast<uint32_t*>(to + (32 * m + 16 * t + lane / 4 + 8 * r) * line<D> + 16 * n +
                                     8 * j + lane % 4 * 2) =
            pack2(factor * sum[t][j][2 * r], factor * sum[t][j][2 * r + 1]);
}

// Where the gradient of the residual stream goes: dx = skip total, df = branch total (df may be
// null).
struct StreamGradient {
  bf16 *dx, *df;
  float epsilon, input_gradient, skip, branch;
};
// The gradient that reaches the stream around the branch, in shared memory (null: none), times
// factor.
struct Around {
  const bf16* gradient;
  float factor;
};

// du of `rows` rows to global memory (and, if `kept`, df in its place); with a block, through the
// norm and with the gradient around it.
template <int D, bool block>
__device__ void write_input_gradient(const StreamGradient& s, bf16* du, bool kept, const bf16* u,
                                     int rows, const float* rstd, int64_t member, int begin,
                                     int end, const Around& around) {
  constexpr int vectors = D / 8;
  for (int i = threadIdx.x; i < rows * vectors; i += blockDim.x) {
    const int row = i / vectors, column = i % vectors * 8, at = row * line<D> + column;
    const int64_t to = member + static_cast<int64_t>(begin + row) * D + column;
    float g[8];
    load8(du + at, g);
    if constexpr (block) {
      float unit[8], other[8] = {}, product = 0.0f;
      load8(u + at, unit);
      if (around.gradient) load8(around.gradient + at, other);
#pragma unroll
      for (int k = 0; k < 8; ++k) product += g[k] * unit[k];
      product = group_sum<vectors>(product) / D;
      const float factor = s.input_gradient * rstd[row];
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const float total = around.factor * other[k] + factor * (g[k] - unit[k] * product);
        g[k] = s.skip * total;
        other[k] = s.branch * total;
      }
      if (s.df && begin + row < end) store8_whole(s.df + to, other);
      if (kept) store8(du + at, other);
    }
    if (begin + row < end) store8_whole(s.dx + to, g);
  }
}

// A matrix whose gradient is summed: elements of a member and between members, all multiples of 4.
struct Target {
  float* gradient;
  int64_t stride, size;
  float factor;
};
struct Sums {
  const float* partial;
  Target first, second;
  int blocks;
};

// gradient += factor * sum over blocks of partial [members, blocks, first | second]: rows of
// threads take blocks in turn, and the first adds their sums in order.
__global__ void add_partials(Sums s) {
  __shared__ float4 sums[8][32];
  const int64_t i = 4 * (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x);
  const int64_t size = s.first.size + s.second.size;
  const float* const from = s.partial + static_cast<int64_t>(blockIdx.y) * s.blocks * size + i;
  float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  const auto add = [&](const float4& v) { sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w; };
  if (i < size)
#pragma unroll 4
    for (int b = threadIdx.y; b < s.blocks; b += blockDim.y)
      add(*reinterpret_cast<const float4*>(from + b * size));
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || i >= size) return;
  for (unsigned y = 1; y < blockDim.y; ++y) add(sums[y][threadIdx.x]);
  const bool is_first = i < s.first.size;
  const Target& target = is_first ? s.first : s.second;
  float4* const to = reinterpret_cast<float4*>(target.gradient + blockIdx.y * target.stride +
                                               (is_first ? i : i - s.first.size));
  float4 value = *to;
  value.x += target.factor * sum.x, value.y += target.factor * sum.y;
  value.z += target.factor * sum.z, value.w += target.factor * sum.w;
  *to = value;
}

inline void add_up(int64_t members, int64_t blocks, const float* partial, const Target& first,
                   const Target& second, Stream stream) {
  const Sums s{partial, first, second, static_cast<int>(blocks)};
  const dim3 grid(blocks_for(first.size + second.size, 128), static_cast<unsigned>(members));
  add_partials<<<grid, dim3(32, s.blocks < 8 ? s.blocks : 8), 0, stream>>>(s);
}

// Rows of a tile and of a block, so that about every multiprocessor has a block, and few rows are
// spread over many.
struct Share {
  int tile;
  int64_t rows;
};
inline Share share_rows(int64_t members, int64_t rows) {
  for (const int tile : {32, 64})
    if ((rows + tile - 1) / tile * members <= processors()) return {tile, tile};
  const int64_t tiles = (rows + tile_rows - 1) / tile_rows;
  int64_t blocks = processors() / members;
  if (blocks < 1) blocks = 1;
  return {tile_rows, (tiles + blocks - 1) / blocks * tile_rows};
}

}  // namespace
}  // namespace rung::cuda

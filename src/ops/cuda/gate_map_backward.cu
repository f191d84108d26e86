// The gates' gradients where they are alone (ops/cuda/gate_map.h).
#include <algorithm>

#include "ops/cuda/gate_map.cuh"

namespace rung::cuda {

int64_t GateMapShape::splits() const {
  constexpr int64_t least = 192, most = 128, tile = 64;
  const int64_t tiles = std::max(least / tile, (rows + most * tile - 1) / (most * tile));
  return (rows + tiles * tile - 1) / (tiles * tile);
}

namespace {

constexpr int lanes_of_rows = 4, column_threads = 64, own_columns = 4, slab = 256, tile_rows = 64;
constexpr int gradient_block = lanes_of_rows * column_threads;

struct GateGradient {
  const float *gates, *dgates;
  float input_factor;
  bf16* dx;
  float* partial;
  int64_t rows_each;  // of a split, whole tiles
};

// Where a thread is while a tile's slopes are taken: sixteen gates by sixteen rows, so that it has
// one gate of all tiles.
struct SlopePlace {
  int gate = threadIdx.x % 16, row = threadIdx.x / 16;
};

// The gradients before the gates' curve of a tile's rows, zeros beyond them; the thread's are added
// to `bias`.
template <int G>
__device__ inline void take_slopes(const GateRows& s, const GateGradient& d, int64_t first,
                                   int count, float (&slopes)[tile_rows][G], float& bias) {
  const SlopePlace at;
  if (at.gate >= G) return;
  for (int row = at.row; row < tile_rows; row += gradient_block / 16) {
    float slope = 0.0f;
    if (row < count && at.gate < s.gates) {
      const int64_t i = (first + row) * s.gates + at.gate;
      const float y = d.gates[i] * s.inverse_cap;
      slope = d.dgates[i] * (1.0f - y * y);
    }
    bias += slope;
    slopes[row][at.gate] = slope;
  }
}

// dx of a thread's columns in every fourth row of a tile, and their share of the matrix's gradient.
template <int G>
__device__ inline void pass_tile(const GateRows& s, const bf16* x, bf16* dx, int64_t first,
                                 int count, int column, const float (&slopes)[tile_rows][G],
                                 const float (&w)[G][own_columns], float (&sum)[G][own_columns]) {
#pragma unroll 4
  for (int row = threadIdx.x / column_threads; row < tile_rows; row += lanes_of_rows) {
    if (row >= count) break;
    const int64_t at = (first + row) * s.width + column;
    float in[own_columns], out[own_columns] = {};
    load4(x + at, in);
#pragma unroll
    for (int k = 0; k < G; k += 4) {
      const float4 four = *reinterpret_cast<const float4*>(&slopes[row][k]);
      const float slope[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int i = 0; i < own_columns; ++i) {
          out[i] += slope[j] * w[k + j][i];
          sum[k + j][i] += slope[j] * in[i];
        }
    }
    store4(dx + at, out);
  }
}

// The lanes' sums, added in a fixed order, to the split's matrix [gates, width + 1].
template <int G>
__device__ inline void write_sums(const GateRows& s, float* to, int column,
                                  float (&joined)[G][slab], float (&sum)[G][own_columns]) {
  const int thread = threadIdx.x % column_threads, lane = threadIdx.x / column_threads;
  for (int turn = lanes_of_rows - 1; turn > 0; --turn) {
    __syncthreads();
    if (lane == turn)
#pragma unroll
      for (int k = 0; k < G; ++k) store4(&joined[k][thread * own_columns], sum[k]);
    __syncthreads();
    if (lane == 0)
#pragma unroll
      for (int k = 0; k < G; ++k) {
        float more[own_columns];
        load4(&joined[k][thread * own_columns], more);
#pragma unroll
        for (int i = 0; i < own_columns; ++i) sum[k][i] += more[i];
      }
  }
  if (lane > 0 || column >= s.width) return;
#pragma unroll
  for (int k = 0; k < G; ++k) {
    if (k >= s.gates) continue;
#pragma unroll
    for (int i = 0; i < own_columns; ++i)
      to[static_cast<int64_t>(k) * (s.width + 1) + column + i] = sum[k][i];
  }
}

// The sums of the slopes behind the matrix's columns.
__device__ inline void write_biases(const GateRows& s, float* to, float* sums, float bias) {
  const SlopePlace at;
  __syncthreads();
  sums[at.row * 16 + at.gate] = bias;
  __syncthreads();
  if (threadIdx.x >= s.gates) return;
  float total = 0.0f;
  for (int row = 0; row < gradient_block / 16; ++row) total += sums[row * 16 + threadIdx.x];
  to[static_cast<int64_t>(threadIdx.x) * (s.width + 1) + s.width] = total;
}

// A block takes 256 columns of a split's rows; a thread has four columns of every fourth row, with
// the matrix's numbers there and the sums of their gradients in registers. `G` is the number of
// gates, rounded up to whole fours.
template <int G>
__global__ void __launch_bounds__(gradient_block, G <= 12 ? 2 : 1)
    gate_gradients(GateRows s, const bf16* x, const bf16* matrix, GateGradient d) {
  __shared__ __align__(16) float slopes[tile_rows][G];
  __shared__ __align__(16) float joined[G][slab];
  const int column = blockIdx.x * slab + threadIdx.x % column_threads * own_columns;
  const bool real = column < s.width;
  const int64_t member = blockIdx.z, split = blockIdx.y, base = member * s.rows;
  const int64_t begin = split * d.rows_each, end = min(begin + d.rows_each, s.rows);
  float bias = 0.0f, w[G][own_columns], sum[G][own_columns] = {};
#pragma unroll
  for (int k = 0; k < G; ++k) {
#pragma unroll
    for (int i = 0; i < own_columns; ++i) w[k][i] = 0.0f;
    if (!real || k >= s.gates) continue;
    load4(matrix + member * s.matrix_stride + static_cast<int64_t>(k) * s.width + column, w[k]);
#pragma unroll
    for (int i = 0; i < own_columns; ++i) w[k][i] *= d.input_factor;
  }
  for (int64_t tile = begin; tile < end; tile += tile_rows) {
    const int count = static_cast<int>(min(end - tile, static_cast<int64_t>(tile_rows)));
    __syncthreads();
    take_slopes<G>(s, d, base + tile, count, slopes, bias);
    __syncthreads();
    if (real) pass_tile<G>(s, x, d.dx, base + tile, count, column, slopes, w, sum);
  }
  if (d.partial == nullptr) return;
  float* const to = d.partial + (member * gridDim.y + split) * s.gates * (s.width + 1);
  write_sums<G>(s, to, column, joined, sum);
  if (blockIdx.x == 0) write_biases(s, to, &joined[0][0], bias);
}

// 32 numbers of the matrix or its biases a block, eight splits at a time.
__global__ void __launch_bounds__(256)
    join_splits(GateRows s, GateMapGradient to, const float* partial, int splits) {
  __shared__ float sums[8][32];
  const int lane = threadIdx.x % 32, turn = threadIdx.x / 32;
  const int columns = s.width + 1, count = s.gates * columns, at = blockIdx.x * 32 + lane;
  const int64_t member = blockIdx.y;
  float sum = 0.0f;
  if (at < count)
    for (int i = turn; i < splits; i += 8) sum += partial[(member * splits + i) * count + at];
  sums[turn][lane] = sum;
  __syncthreads();
  if (turn != 0 || at >= count) return;
  for (int i = 1; i < 8; ++i) sum += sums[i][lane];
  const int gate = at / columns, column = at % columns;
  if (column < s.width) {
    if (to.dmatrix != nullptr)
      to.dmatrix[member * to.dmatrix_stride + static_cast<int64_t>(gate) * s.width + column] +=
          to.matrix_factor * sum;
  } else if (to.dbias != nullptr) {
    to.dbias[member * to.dbias_stride + gate] += to.bias_factor * sum;
  }
}

}  // namespace

void gate_map_backward(const GateMapShape& shape, const void* x, const void* matrix,
                       const GateMapGradient& gradient, Stream stream) {
  const int64_t splits = shape.splits(),
                tiles = (shape.rows + splits * tile_rows - 1) / (splits * tile_rows);
  const GateRows rows = rows_of(shape);
  const GateGradient d{gradient.gates,        gradient.dgates,
                       gradient.input_factor, static_cast<bf16*>(gradient.dx),
                       gradient.partial,      tiles * tile_rows};
  const auto run = [&](auto gates) {
    constexpr int G = decltype(gates)::value;
    const dim3 grid(blocks_for(shape.width, slab), static_cast<unsigned>(splits),
                    static_cast<unsigned>(shape.members));
    gate_gradients<G><<<grid, gradient_block, 0, stream>>>(rows, static_cast<const bf16*>(x),
                                                           static_cast<const bf16*>(matrix), d);
  };
  if (shape.gates <= 4)
    run(std::integral_constant<int, 4>());
  else if (shape.gates <= 8)
    run(std::integral_constant<int, 8>());
  else if (shape.gates <= 12)
    run(std::integral_constant<int, 12>());
  else
    run(std::integral_constant<int, 16>());
  check_launch();
  if (gradient.partial == nullptr) return;
  const dim3 grid(blocks_for(shape.gates * (shape.width + 1), 32),
                  static_cast<unsigned>(shape.members));
  join_splits<<<grid, 256, 0, stream>>>(rows, gradient, gradient.partial, static_cast<int>(splits));
  check_launch();
}

}  // namespace rung::cuda

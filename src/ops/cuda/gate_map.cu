#include "ops/cuda/gate_map.cuh"
#include "ops/cuda/mma.cuh"

namespace rung::cuda {

namespace {

// The matrix's rows in shared memory: half of the banks between neighbours, for every width that
// is a multiple of 64.
__host__ __device__ constexpr int matrix_pitch(int width) {
  return (width + 31) / 32 * 32 + 32;
}

constexpr int map_threads = 128, map_rows = 64, ahead = 4;

// A warp takes 16 rows. The order of k in a product is free, so that a lane's eight neighbours of a
// row serve two products of 16: of its four pairs the first two are the A of one, the others of the
// next. `tiles` times eight gates.
template <int tiles>
__global__ void __launch_bounds__(map_threads)
    map_gates(GateRows s, const bf16* x, const bf16* matrix, float factor, const bf16* bias,
              float bias_factor, float* gates) {
  extern __shared__ __align__(16) bf16 weights[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, c = lane % 4;
  const int pitch = matrix_pitch(s.width), slots = pitch / 8;
  const int64_t member = blockIdx.y;
  for (int i = threadIdx.x; i < 8 * tiles * slots; i += map_threads) {
    const int row = i / slots, at = i % slots * 8;
    uint4 value = make_uint4(0, 0, 0, 0);
    if (row < s.gates && at < s.width)
      value = *reinterpret_cast<const uint4*>(matrix + member * s.matrix_stride +
                                              static_cast<int64_t>(row) * s.width + at);
    *reinterpret_cast<uint4*>(weights + row * pitch + at) = value;
  }
  __syncthreads();
  const int64_t first = static_cast<int64_t>(blockIdx.x) * map_rows + 16 * warp + g;
  const bf16* const from = x + (member * s.rows + first) * s.width + 8 * c;
  const bool real[2] = {first < s.rows, first + 8 < s.rows};
  float sum[tiles][4] = {};
  for (int start = 0; start < s.width; start += 32 * ahead) {
    uint4 pairs[ahead][2];
#pragma unroll
    for (int i = 0; i < ahead; ++i)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int at = start + 32 * i;
        pairs[i][r] = make_uint4(0, 0, 0, 0);
        if (real[r] && at + 8 * c < s.width)
          pairs[i][r] =
              *reinterpret_cast<const uint4*>(from + r * 8 * static_cast<int64_t>(s.width) + at);
      }
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      if (start + 32 * i >= s.width) break;
      const Quad a0 = {pairs[i][0].x, pairs[i][1].x, pairs[i][0].y, pairs[i][1].y};
      const Quad a1 = {pairs[i][0].z, pairs[i][1].z, pairs[i][0].w, pairs[i][1].w};
#pragma unroll
      for (int t = 0; t < tiles; ++t) {
        const uint4 b =
            *reinterpret_cast<const uint4*>(weights + (8 * t + g) * pitch + start + 32 * i + 8 * c);
        multiply_add(sum[t], a0, b.x, b.y);
        multiply_add(sum[t], a1, b.z, b.w);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < tiles; ++t)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int gate = 8 * t + 2 * c + e % 2;
      if (!real[e / 2] || gate >= s.gates) continue;
      const float raw =
          factor * sum[t][e] + bias_factor * to_float(bias[member * s.bias_stride + gate]);
      gates[(member * s.rows + first + e / 2 * 8) * s.gates + gate] =
          s.cap * tanhf(raw * s.inverse_cap);
    }
}

constexpr int slope_rows = 256;

// A thread has one of sixteen columns of every sixteenth row of the block's.
__global__ void __launch_bounds__(256) put_slopes(GateRows s, GateSlopes d) {
  __shared__ float biases[16][16];
  const int gate = threadIdx.x % 16, lane = threadIdx.x / 16;
  const int64_t member = blockIdx.y, base = member * s.rows;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * slope_rows,
                end = min(begin + slope_rows, s.rows);
  bf16* const to = static_cast<bf16*>(d.to);
  float bias = 0.0f;
#pragma unroll 4
  for (int64_t row = begin + lane; row < end; row += 16) {
    float slope = 0.0f;
    if (gate < s.gates) {
      const int64_t at = (base + row) * s.gates + gate;
      const float y = d.gates[at] * s.inverse_cap;
      slope = d.dgates[at] * (1.0f - y * y);
    }
    bias += slope;
    to[(base + row) * d.stride + gate] = from_float<bf16>(d.factor * slope);
  }
  biases[lane][gate] = bias;
  __syncthreads();
  if (threadIdx.x >= 16 || d.partial == nullptr) return;
  float total = 0.0f;
  for (int i = 0; i < 16; ++i) total += biases[i][threadIdx.x];
  d.partial[(member * gridDim.x + blockIdx.x) * 16 + threadIdx.x] = total;
}

// A block a member, sixteen gates by sixteen turns.
__global__ void __launch_bounds__(256) join_biases(GateRows s, GateSlopes d, int blocks) {
  __shared__ float sums[16][16];
  const int gate = threadIdx.x % 16, turn = threadIdx.x / 16;
  const int64_t member = blockIdx.x;
  float sum = 0.0f;
  for (int i = turn; i < blocks; i += 16) sum += d.partial[(member * blocks + i) * 16 + gate];
  sums[turn][gate] = sum;
  __syncthreads();
  if (threadIdx.x >= s.gates) return;
  float total = 0.0f;
  for (int i = 0; i < 16; ++i) total += sums[i][threadIdx.x];
  d.dbias[member * d.dbias_stride + threadIdx.x] += d.bias_factor * total;
}

}  // namespace

void gate_map_forward(const GateMapShape& shape, const void* x, const void* matrix, float factor,
                      const void* bias, float bias_factor, float* gates, Stream stream) {
  const auto run = [&](auto tiles) {
    constexpr int count = decltype(tiles)::value;
    const int bytes = 8 * count * matrix_pitch(static_cast<int>(shape.width)) * 2;
    if (bytes > 48 * 1024)
      cudaFuncSetAttribute(map_gates<count>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    const dim3 grid(blocks_for(shape.rows, map_rows), static_cast<unsigned>(shape.members));
    map_gates<count><<<grid, map_threads, bytes, stream>>>(
        rows_of(shape), static_cast<const bf16*>(x), static_cast<const bf16*>(matrix), factor,
        static_cast<const bf16*>(bias), bias_factor, gates);
  };
  if (shape.gates <= 8)
    run(std::integral_constant<int, 1>());
  else
    run(std::integral_constant<int, 2>());
  check_launch();
}

int64_t slope_blocks(int64_t rows) {
  return (rows + slope_rows - 1) / slope_rows;
}

void gate_slopes(const GateMapShape& shape, const GateSlopes& slopes, Stream stream) {
  const GateRows rows = rows_of(shape);
  const int64_t blocks = slope_blocks(shape.rows);
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(shape.members));
  put_slopes<<<grid, 256, 0, stream>>>(rows, slopes);
  check_launch();
  if (slopes.partial == nullptr || slopes.dbias == nullptr) return;
  join_biases<<<static_cast<unsigned>(shape.members), 256, 0, stream>>>(rows, slopes,
                                                                        static_cast<int>(blocks));
  check_launch();
}

}  // namespace rung::cuda

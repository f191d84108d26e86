// The way back through residual additions and norms.
#include "ops/cuda/norm.cuh"

namespace rung::cuda {
namespace {

// A lane's part of a row as it lies in memory: the sum, its normed values' gradient, and the sum's
// own. All of it is asked for before any of it is used.
template <class T, int V>
struct RowParts {
  Raw<T> h[V], dy[V], dh[V];
};

template <class T, int G, int V>
__device__ inline RowParts<T, V> load_row(const NormRows& s, const T* h, const NormGradient& out,
                                          int64_t base, int lane) {
  const T *const dy = static_cast<const T*>(out.dy), *const dh = static_cast<const T*>(out.dh);
  RowParts<T, V> row;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = lane + i * G;
    if (at >= s.vectors) continue;
    row.h[i] = load_raw(h + base + at * 8);
    row.dy[i] = load_raw(dy + base + at * 8);
    if (dh) row.dh[i] = load_raw(dh + base + at * 8);
  }
  return row;
}

// dx and df of a vector from the gradient of its normed values: `sum` and `product` are the row's
// means of those and of their products with the values.
template <class T>
__device__ inline void write_vector(const NormGradient& out, const Raw<T>& dh, int64_t place,
                                    float factor, float sum, float product, const float (&unit)[8],
                                    const float (&g)[8]) {
  float total[8] = {}, scaled[8];
  if (out.dh) unpack(dh, total);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    total[k] *= out.dh_factor;
    total[k] += factor * (g[k] - sum - unit[k] * product);
    scaled[k] = total[k] * out.skip;
  }
  store8_whole(static_cast<T*>(out.dx) + place, scaled);
  if (!out.df) return;
#pragma unroll
  for (int k = 0; k < 8; ++k) scaled[k] = total[k] * out.branch;
  store8_whole(static_cast<T*>(out.df) + place, scaled);
}

// A vector's normed values, and the gradient of these behind the gain.
template <class T>
__device__ inline void unpack_vector(const Raw<T>& h, const Raw<T>& dy, const T* gain, float centre,
                                     float scale, float (&unit)[8], float (&g)[8]) {
  unpack(h, unit);
  unpack(dy, g);
  float w[8];
  if (gain) load8(gain, w);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    unit[k] = (unit[k] - centre) * scale;
    if (gain) g[k] *= w[k];
  }
}

// The block's sums of the gain's gradient to partial [width]: its groups add theirs in turn, a
// fixed order without atomics.
template <int G, int V>
__device__ void write_gain_sums(const float (&dgain)[V][8], int width, float* partial) {
  constexpr int groups = norm_threads / G;
  const int lane = threadIdx.x % G, group = threadIdx.x / G;
  __shared__ float shared[8 * G * V];
  for (int turn = 0; turn < groups; ++turn) {
    if (group == turn)
#pragma unroll
      for (int i = 0; i < V; ++i)
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          float& slot = shared[(i * G + lane) * 8 + k];
          slot = turn == 0 ? dgain[i][k] : slot + dgain[i][k];
        }
    __syncthreads();
  }
  for (int d = threadIdx.x; d < width; d += norm_threads) partial[d] = shared[d];
}

template <class T, int G, int V, bool gained>
__global__ void __launch_bounds__(norm_threads)
    backward(NormRows s, const T* h, const float* mean, const float* rstd, const T* gain,
             NormGradient out) {
  constexpr int groups = norm_threads / G;
  const int lane = threadIdx.x % G, group = threadIdx.x / G;
  const int64_t begin = blockIdx.x * s.per_block;
  const int64_t end = min(begin + s.per_block, s.rows);
  if (gain) gain += blockIdx.y * s.gain_stride;
  __shared__ float slots[2][2 * norm_threads / 32];
  float dgain[gained ? V : 1][8] = {};
  int turn = 0;
  for (int64_t first = begin; first < end; first += groups, turn ^= 1) {
    const bool valid = first + group < end;
    const int64_t row = blockIdx.y * s.rows + (valid ? first + group : end - 1);
    const int64_t base = row * s.vectors * 8;
    const RowParts<T, V> parts = load_row<T, G, V>(s, h, out, base, lane);
    const float centre = mean ? mean[row] : 0.0f, scale = rstd[row];
    float unit[8], g[8], sums[2] = {};
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int at = lane + i * G;
      if (at >= s.vectors) continue;
      unpack_vector<T>(parts.h[i], parts.dy[i], gain ? gain + at * 8 : gain, centre, scale, unit,
                       g);
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        sums[0] += g[k];
        sums[1] += g[k] * unit[k];
      }
      if constexpr (gained) {
        float raw[8];
        unpack(parts.dy[i], raw);
#pragma unroll
        for (int k = 0; k < 8; ++k)
          if (valid) dgain[i][k] += raw[k] * unit[k];
      }
    }
    sum_rows<G>(sums, slots[turn]);
    if (!valid) continue;
    const float sum = s.center ? sums[0] / s.width : 0.0f, product = sums[1] / s.width;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int at = lane + i * G;
      if (at >= s.vectors) continue;
      unpack_vector<T>(parts.h[i], parts.dy[i], gain ? gain + at * 8 : gain, centre, scale, unit,
                       g);
      write_vector<T>(out, parts.dh[i], base + at * 8, out.input_gradient * scale, sum, product,
                      unit, g);
    }
  }
  if constexpr (gained) {
    const int width = s.vectors * 8;
    const int64_t block = blockIdx.y * static_cast<int64_t>(gridDim.x) + blockIdx.x;
    write_gain_sums<G, V>(dgain, width, out.partial + block * width);
  }
}

// gain[d] += sum over blocks of partial[block, d]; one warp row of 32 columns by 32 strides.
__global__ void add_partials(int64_t blocks, int64_t width, const float* partial, float* gain,
                             int64_t stride) {
  __shared__ float sums[32][33];
  const int64_t d = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  float sum = 0.0f;
  if (d < width)
    for (int64_t b = threadIdx.y; b < blocks; b += 32)
      sum += partial[(blockIdx.y * blocks + b) * width + d];
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  const float total = group_sum<32>(sums[threadIdx.x][threadIdx.y]);
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.y;
  if (threadIdx.x == 0 && column < width) gain[blockIdx.y * stride + column] += total;
}

// A function of a member's shape alone, so that sums do not depend on the number of members.
int64_t rows_per_block(const NormShape& s) {
  const int64_t groups = norm_groups(s.width / 8), most = 1024;
  const int64_t least = (s.rows + most - 1) / most;
  return (least + groups - 1) / groups * groups;
}

}  // namespace

int64_t norm_blocks(const NormShape& s) {
  return (s.rows + rows_per_block(s) - 1) / rows_per_block(s);
}

void norm_backward(Type type, const NormShape& s, const void* h, const float* mean,
                   const float* rstd, const void* gain, const NormGradient& gradient,
                   Stream stream) {
  // Blocks leave a sum of the gain's gradient each; without one they are as short as can be.
  const int64_t per_block = gradient.dgain ? rows_per_block(s) : norm_groups(s.width / 8);
  const int64_t blocks = (s.rows + per_block - 1) / per_block;
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_norm_group(s.width / 8, [&](auto g, auto v) {
      constexpr int G = decltype(g)::value, V = decltype(v)::value;
      const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(s.members));
      const auto kernel = gradient.dgain ? backward<T, G, V, true> : backward<T, G, V, false>;
      kernel<<<grid, norm_threads, 0, stream>>>(norm_rows_of(s, per_block),
                                                static_cast<const T*>(h), mean, rstd,
                                                static_cast<const T*>(gain), gradient);
    });
  });
  if (gradient.dgain) {
    const dim3 grid(blocks_for(s.width, 32), static_cast<unsigned>(s.members));
    add_partials<<<grid, dim3(32, 32), 0, stream>>>(blocks, s.width, gradient.partial,
                                                    gradient.dgain, gradient.dgain_stride);
  }
  check_launch();
}

}  // namespace rung::cuda

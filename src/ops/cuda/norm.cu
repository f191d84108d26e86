// Residual addition and normalisation: a group of G lanes holds a row as V vectors of 8 a lane.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

struct Rows {
  int64_t rows, per_block;
  int vectors;  // of 8 in a row
  float width, epsilon;
  bool center;
  int64_t gain_stride;
};

template <class T, int G, int V>
__global__ void __launch_bounds__(threads)
    forward(Rows s, const T* x, const T* f, float skip, float branch, const T* gain, T* h, T* y,
            float* mean, float* rstd) {
  const int lane = threadIdx.x % G;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * (threads / G) + threadIdx.x / G;
  const bool valid = index < s.rows;
  const int64_t row = blockIdx.y * s.rows + (valid ? index : s.rows - 1);
  const int64_t base = row * s.vectors * 8;
  float value[V][8], sum = 0.0f, squares = 0.0f;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = lane + i * G;
#pragma unroll
    for (int k = 0; k < 8; ++k) value[i][k] = 0.0f;
    if (at >= s.vectors) continue;
    load8(x + base + at * 8, value[i]);
    if (f) {
      float other[8];
      load8(f + base + at * 8, other);
#pragma unroll
      for (int k = 0; k < 8; ++k) value[i][k] = rounded<T>(skip * value[i][k] + branch * other[k]);
      if (valid) store8_whole(h + base + at * 8, value[i]);
    }
#pragma unroll
    for (int k = 0; k < 8; ++k) sum += value[i][k];
  }
  const float centre = s.center ? group_sum<G>(sum) / s.width : 0.0f;
#pragma unroll
  for (int i = 0; i < V; ++i)
    if (lane + i * G < s.vectors)
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const float d = value[i][k] - centre;
        squares += d * d;
      }
  const float scale = rsqrtf(group_sum<G>(squares) / s.width + s.epsilon);
  if (!valid) return;
  if (lane == 0) {
    mean[row] = centre;
    rstd[row] = scale;
  }
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = lane + i * G;
    if (at >= s.vectors) continue;
    float g[8];
    if (gain) load8(gain + blockIdx.y * s.gain_stride + at * 8, g);
#pragma unroll
    for (int k = 0; k < 8; ++k) value[i][k] = (value[i][k] - centre) * scale * (gain ? g[k] : 1.0f);
    store8_whole(y + base + at * 8, value[i]);
  }
}

// dx and df of a row from the gradients of its normed values: `sum` and `product` are the means of
// those and of their products with the values.
template <class T, int G, int V>
__device__ inline void write_row(const Rows& s, const NormGradient& out, int64_t base, int lane,
                                 float factor, float sum, float product, const float (&unit)[V][8],
                                 const float (&g)[V][8]) {
  const T* dh = static_cast<const T*>(out.dh);
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = lane + i * G;
    if (at >= s.vectors) continue;
    float total[8], scaled[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) total[k] = 0.0f;
    if (dh) load8(dh + base + at * 8, total);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      total[k] *= out.dh_factor;
      total[k] += factor * (g[i][k] - sum - unit[i][k] * product);
      scaled[k] = total[k] * out.skip;
    }
    store8_whole(static_cast<T*>(out.dx) + base + at * 8, scaled);
    if (!out.df) continue;
#pragma unroll
    for (int k = 0; k < 8; ++k) scaled[k] = total[k] * out.branch;
    store8_whole(static_cast<T*>(out.df) + base + at * 8, scaled);
  }
}

// The block's sums of the gain's gradient to partial [width]: its groups add theirs in turn, a
// fixed order without atomics.
template <int G, int V>
__device__ void write_gain_sums(const float (&dgain)[V][8], int width, float* partial) {
  constexpr int groups = threads / G;
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
  for (int d = threadIdx.x; d < width; d += threads) partial[d] = shared[d];
}

template <class T, int G, int V, bool gained>
__global__ void __launch_bounds__(threads)
    backward(Rows s, const T* h, const float* mean, const float* rstd, const T* gain,
             NormGradient out) {
  constexpr int groups = threads / G;
  const int lane = threadIdx.x % G, group = threadIdx.x / G;
  const int64_t begin = blockIdx.x * s.per_block;
  const int64_t end = min(begin + s.per_block, s.rows);
  const T* dy = static_cast<const T*>(out.dy);
  float dgain[gained ? V : 1][8] = {};
  for (int64_t first = begin; first < end; first += groups) {
    const bool valid = first + group < end;
    const int64_t row = blockIdx.y * s.rows + (valid ? first + group : end - 1);
    const int64_t base = row * s.vectors * 8;
    const float centre = mean ? mean[row] : 0.0f, scale = rstd[row];
    float unit[V][8], g[V][8], sum = 0.0f, product = 0.0f;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int at = lane + i * G;
      if (at >= s.vectors) continue;
      load8(h + base + at * 8, unit[i]);
      load8(dy + base + at * 8, g[i]);
      float w[8];
      if (gain) load8(gain + blockIdx.y * s.gain_stride + at * 8, w);
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        unit[i][k] = (unit[i][k] - centre) * scale;
        if constexpr (gained)
          if (valid) dgain[i][k] += g[i][k] * unit[i][k];
        if (gain) g[i][k] *= w[k];
        sum += g[i][k];
        product += g[i][k] * unit[i][k];
      }
    }
    sum = s.center ? group_sum<G>(sum) / s.width : 0.0f;
    product = group_sum<G>(product) / s.width;
    if (!valid) continue;
    write_row<T, G, V>(s, out, base, lane, out.input_gradient * scale, sum, product, unit, g);
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

// Lanes a row for narrow rows, vectors a lane for wide ones.
template <class F>
void with_group(int64_t vectors, F&& f) {
  const auto call = [&](auto g, auto v) { f(g, v); };
  using std::integral_constant;
  if (vectors <= 4) return call(integral_constant<int, 4>(), integral_constant<int, 1>());
  if (vectors <= 8) return call(integral_constant<int, 8>(), integral_constant<int, 1>());
  if (vectors <= 16) return call(integral_constant<int, 16>(), integral_constant<int, 1>());
  if (vectors <= 32) return call(integral_constant<int, 32>(), integral_constant<int, 1>());
  if (vectors <= 64) return call(integral_constant<int, 32>(), integral_constant<int, 2>());
  if (vectors <= 96) return call(integral_constant<int, 32>(), integral_constant<int, 3>());
  if (vectors <= 128) return call(integral_constant<int, 32>(), integral_constant<int, 4>());
  if (vectors <= 256) return call(integral_constant<int, 32>(), integral_constant<int, 8>());
  return call(integral_constant<int, 32>(), integral_constant<int, 16>());
}

int group_of(int64_t vectors) {
  return vectors <= 4 ? 4 : vectors <= 8 ? 8 : vectors <= 16 ? 16 : 32;
}

Rows rows_of(const NormShape& s, int64_t per_block) {
  return {
      s.rows,   per_block,    static_cast<int>(s.width / 8), static_cast<float>(s.width), s.epsilon,
      s.center, s.gain_stride};
}

// A function of a member's shape alone, so that sums do not depend on the number of members.
int64_t rows_per_block(const NormShape& s) {
  const int64_t groups = threads / group_of(s.width / 8), most = 1024;
  const int64_t least = (s.rows + most - 1) / most;
  return (least + groups - 1) / groups * groups;
}

}  // namespace

int64_t norm_blocks(const NormShape& s) {
  return (s.rows + rows_per_block(s) - 1) / rows_per_block(s);
}

void add_norm_forward(Type type, const NormShape& s, const void* x, const void* f, float skip,
                      float branch, const void* gain, void* h, void* y, float* mean, float* rstd,
                      Stream stream) {
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_group(s.width / 8, [&](auto g, auto v) {
      constexpr int G = decltype(g)::value, V = decltype(v)::value;
      const dim3 grid(blocks_for(s.rows, threads / G), static_cast<unsigned>(s.members));
      forward<T, G, V><<<grid, threads, 0, stream>>>(
          rows_of(s, 0), static_cast<const T*>(x), static_cast<const T*>(f), skip, branch,
          static_cast<const T*>(gain), static_cast<T*>(h), static_cast<T*>(y), mean, rstd);
    });
  });
  check_launch();
}

void norm_backward(Type type, const NormShape& s, const void* h, const float* mean,
                   const float* rstd, const void* gain, const NormGradient& gradient,
                   Stream stream) {
  const int64_t blocks = norm_blocks(s);
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_group(s.width / 8, [&](auto g, auto v) {
      constexpr int G = decltype(g)::value, V = decltype(v)::value;
      const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(s.members));
      const auto kernel = gradient.dgain ? backward<T, G, V, true> : backward<T, G, V, false>;
      kernel<<<grid, threads, 0, stream>>>(rows_of(s, rows_per_block(s)), static_cast<const T*>(h),
                                           mean, rstd, static_cast<const T*>(gain), gradient);
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

// Residual addition and normalisation.
#include "ops/cuda/norm.cuh"

namespace rung::cuda {
namespace {

template <class T, int G, int V>
__global__ void __launch_bounds__(norm_threads)
    forward(NormRows s, const T* x, const T* f, float skip, float branch, const T* gain, T* h, T* y,
            float* mean, float* rstd) {
  const int lane = threadIdx.x % G;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * (norm_threads / G) + threadIdx.x / G;
  const bool valid = index < s.rows;
  const int64_t row = blockIdx.y * s.rows + (valid ? index : s.rows - 1);
  const int64_t base = row * s.vectors * 8;
  __shared__ float slots[2][norm_threads / 32];
  float value[V][8], sum[1] = {}, squares[1] = {};
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
    for (int k = 0; k < 8; ++k) sum[0] += value[i][k];
  }
  if (s.center) sum_rows<G>(sum, slots[0]);
  const float centre = s.center ? sum[0] / s.width : 0.0f;
#pragma unroll
  for (int i = 0; i < V; ++i)
    if (lane + i * G < s.vectors)
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const float d = value[i][k] - centre;
        squares[0] += d * d;
      }
  sum_rows<G>(squares, slots[1]);
  const float scale = rsqrtf(squares[0] / s.width + s.epsilon);
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

}  // namespace

void add_norm_forward(Type type, const NormShape& s, const void* x, const void* f, float skip,
                      float branch, const void* gain, void* h, void* y, float* mean, float* rstd,
                      Stream stream) {
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_norm_group(s.width / 8, [&](auto g, auto v) {
      constexpr int G = decltype(g)::value, V = decltype(v)::value;
      const dim3 grid(blocks_for(s.rows, norm_threads / G), static_cast<unsigned>(s.members));
      forward<T, G, V><<<grid, norm_threads, 0, stream>>>(
          norm_rows_of(s, 0), static_cast<const T*>(x), static_cast<const T*>(f), skip, branch,
          static_cast<const T*>(gain), static_cast<T*>(h), static_cast<T*>(y), mean, rstd);
    });
  });
  check_launch();
}

}  // namespace rung::cuda

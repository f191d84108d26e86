#include "ops/cuda/curve.cuh"
#include "ops/cuda/gated_norm.h"

namespace rung::cuda {
namespace {

constexpr int norm_threads = 256;

// A group of G lanes has a row of one group of units, V vectors of 8 a lane.
struct GateRow {
  int64_t at, gate, dgate;  // first elements
  int vectors;
  bool valid;
};

template <int G>
__device__ GateRow row_of(const GatedNorm& s) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * (norm_threads / G) + threadIdx.x / G;
  const int64_t count = s.rows * s.groups, row = index < count ? index : count - 1;
  const int64_t within = row % s.groups * s.width,
                packed = s.dgate_stride ? s.dgate_stride : s.groups * s.width;
  return {row * s.width, row / s.groups * s.gate_stride + within, row / s.groups * packed + within,
          static_cast<int>(s.width / 8), index < count};
}

// The gate's factor and its derivative.
__device__ inline float gate_factor(float z, bool silu, float& derivative) {
  const float sigma = sigmoid(z);
  derivative = silu ? sigma * (1.0f + z * (1.0f - sigma)) : sigma * (1.0f - sigma);
  return silu ? z * sigma : sigma;
}

// values become (values - mean) / deviation, which is returned inverted.
template <int G, int V>
__device__ float normalise_row(const GatedNorm& s, const GateRow& row, float (&values)[V][8]) {
  const int lane = threadIdx.x % G;
  const float width = static_cast<float>(s.width);
  float mean = 0.0f, squares = 0.0f;
  if (s.center) {
#pragma unroll
    for (int i = 0; i < V; ++i)
#pragma unroll
      for (int k = 0; k < 8; ++k) mean += values[i][k];  // zeros beyond the row
    mean = group_sum<G>(mean) / width;
  }
#pragma unroll
  for (int i = 0; i < V; ++i)
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      values[i][k] -= lane + i * G < row.vectors ? mean : 0.0f;
      squares += values[i][k] * values[i][k];
    }
  const float scale = rsqrtf(group_sum<G>(squares) / width + s.epsilon);
#pragma unroll
  for (int i = 0; i < V; ++i)
#pragma unroll
    for (int k = 0; k < 8; ++k) values[i][k] *= scale;
  return scale;
}

template <class T, int G, int V>
__device__ void load_row(const GateRow& row, const T* from, float (&values)[V][8]) {
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = threadIdx.x % G + i * G;
#pragma unroll
    for (int k = 0; k < 8; ++k) values[i][k] = 0.0f;
    if (at < row.vectors) load8(from + at * 8, values[i]);
  }
}

template <class T, int G, int V>
__global__ void __launch_bounds__(norm_threads)
    gate_and_normalise(GatedNorm s, const T* x, const T* gate, T* y) {
  const GateRow row = row_of<G>(s);
  float values[V][8], factors[V][8], derivative;
  load_row<T, G, V>(row, x + row.at, values);
  load_row<T, G, V>(row, gate + row.gate, factors);
#pragma unroll
  for (int i = 0; i < V; ++i)
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      factors[i][k] = gate_factor(factors[i][k], s.gate_before, derivative);
      if (s.gate_before) values[i][k] *= factors[i][k];
    }
  normalise_row<G, V>(s, row, values);
  if (!row.valid) return;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = threadIdx.x % G + i * G;
    if (at >= row.vectors) continue;
#pragma unroll
    for (int k = 0; k < 8; ++k)
      if (!s.gate_before) values[i][k] *= factors[i][k];
    store8_whole(y + row.at + at * 8, values[i]);
  }
}

// d becomes the gradient of what was normalised, from that of the normalised `unit`.
template <int G, int V>
__device__ void norm_gradient(const GatedNorm& s, const GateRow& row, const float (&unit)[V][8],
                              float scale, float (&d)[V][8]) {
  const float width = static_cast<float>(s.width);
  float sum = 0.0f, product = 0.0f;
#pragma unroll
  for (int i = 0; i < V; ++i)
#pragma unroll
    for (int k = 0; k < 8; ++k) sum += d[i][k], product += d[i][k] * unit[i][k];
  sum = s.center ? group_sum<G>(sum) / width : 0.0f;
  product = group_sum<G>(product) / width;
#pragma unroll
  for (int i = 0; i < V; ++i)
#pragma unroll
    for (int k = 0; k < 8; ++k) d[i][k] = scale * (d[i][k] - sum - unit[i][k] * product);
}

template <class T, int G, int V>
__device__ void add_dots(const GatedNorm& s, const GateRow& row, const T* x, const float (&d)[V][8],
                         const GroupDots& dots) {
  const int lane = threadIdx.x % G;
  float dot = 0.0f;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    if (lane + i * G >= row.vectors) continue;
    float value[8];
    load8(x + row.at + (lane + i * G) * 8, value);
#pragma unroll
    for (int k = 0; k < 8; ++k) dot += rounded<T>(d[i][k]) * value[k];
  }
  dot = group_sum<G>(dot);
  if (lane != 0 || !row.valid) return;
  const int64_t index = row.at / s.width, step = index / s.groups;
  const int64_t at =
      (step / dots.time * s.groups + index % s.groups) * dots.steps + step % dots.time;
  dots.dots[at] = -dots.sign[at] * dot;
}

// Two blocks a multiprocessor, or wide rows leave memory waiting.
template <class T, int G, int V>
__global__ void __launch_bounds__(norm_threads, V <= 6 ? 2 : 1)
    gated_norm_gradient(GatedNorm s, const T* x, const T* gate, const T* dy, T* dx, T* dgate,
                        GroupDots dots) {
  const GateRow row = row_of<G>(s);
  const int lane = threadIdx.x % G;
  float unit[V][8], d[V][8];
  load_row<T, G, V>(row, x + row.at, unit);
  load_row<T, G, V>(row, dy + row.at, d);
#pragma unroll
  for (int i = 0; i < V; ++i) {
    if (!s.gate_before || lane + i * G >= row.vectors) continue;
    float z[8], derivative;
    load8(gate + row.gate + (lane + i * G) * 8, z);
#pragma unroll
    for (int k = 0; k < 8; ++k) unit[i][k] *= gate_factor(z[k], true, derivative);
  }
  const float scale = normalise_row<G, V>(s, row, unit);
  if (s.gate_before) norm_gradient<G, V>(s, row, unit, scale, d);
    // d is now the gradient of x silu(gate), or still that of N(x) sigmoid(gate).
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int at = lane + i * G;
    if (at >= row.vectors) continue;
    float z[8], from[8];
    load8(gate + row.gate + at * 8, z);
    if (s.gate_before) load8(x + row.at + at * 8, from);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      float derivative;
      const float factor = gate_factor(z[k], s.gate_before, derivative);
      z[k] = d[i][k] * derivative * (s.gate_before ? from[k] : unit[i][k]);
      d[i][k] *= factor;
    }
    if (row.valid) store8_whole(dgate + row.dgate + at * 8, z);
  }
  if (!s.gate_before) norm_gradient<G, V>(s, row, unit, scale, d);
  if (row.valid)
#pragma unroll
    for (int i = 0; i < V; ++i)
      if (lane + i * G < row.vectors) store8_whole(dx + row.at + (lane + i * G) * 8, d[i]);
  if (dots.dots != nullptr) add_dots<T, G, V>(s, row, x, d, dots);
}

template <class F>
void with_lanes(int64_t vectors, F&& f) {
  using std::integral_constant;
  if (vectors <= 4) return f(integral_constant<int, 4>(), integral_constant<int, 1>());
  if (vectors <= 8) return f(integral_constant<int, 8>(), integral_constant<int, 1>());
  if (vectors <= 16) return f(integral_constant<int, 16>(), integral_constant<int, 1>());
  if (vectors <= 32) return f(integral_constant<int, 32>(), integral_constant<int, 1>());
  if (vectors <= 64) return f(integral_constant<int, 32>(), integral_constant<int, 2>());
  if (vectors <= 128) return f(integral_constant<int, 32>(), integral_constant<int, 4>());
  if (vectors <= 192) return f(integral_constant<int, 32>(), integral_constant<int, 6>());
  return f(integral_constant<int, 32>(), integral_constant<int, 8>());
}

}  // namespace

void gated_norm_forward(Type type, const GatedNorm& s, const void* x, const void* gate, void* y,
                        Stream stream) {
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_lanes(s.width / 8, [&](auto lanes, auto vectors) {
      constexpr int G = decltype(lanes)::value, V = decltype(vectors)::value;
      gate_and_normalise<T, G, V>
          <<<blocks_for(s.rows * s.groups, norm_threads / G), norm_threads, 0, stream>>>(
              s, static_cast<const T*>(x), static_cast<const T*>(gate), static_cast<T*>(y));
    });
  });
  check_launch();
}

void gated_norm_backward(Type type, const GatedNorm& s, const void* x, const void* gate,
                         const void* dy, void* dx, void* dgate, Stream stream) {
  gated_norm_backward(type, s, x, gate, dy, dx, dgate, GroupDots{}, stream);
}

void gated_norm_backward(Type type, const GatedNorm& s, const void* x, const void* gate,
                         const void* dy, void* dx, void* dgate, const GroupDots& dots,
                         Stream stream) {
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_lanes(s.width / 8, [&](auto lanes, auto vectors) {
      constexpr int G = decltype(lanes)::value, V = decltype(vectors)::value;
      gated_norm_gradient<T, G, V>
          <<<blocks_for(s.rows * s.groups, norm_threads / G), norm_threads, 0, stream>>>(
              s, static_cast<const T*>(x), static_cast<const T*>(gate), static_cast<const T*>(dy),
              static_cast<T*>(dx), static_cast<T*>(dgate), dots);
    });
  });
  check_launch();
}

}  // namespace rung::cuda

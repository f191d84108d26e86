// Short causal convolution with SiLU, eight channels a thread. The backward pass writes the
// gradient of the sum before SiLU once and reads it for both other gradients; filters' gradients
// are summed over stretches of rows in registers, and over the stretches afterwards.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 128;
constexpr int64_t stretch = 64;  // rows that one thread sums

struct Conv {
  unsigned vectors, batch, time;  // vectors of 8 channels
  int64_t channels;
};

// bias + the filter over the rows up to `row`; x points at its sequence's first row and channels.
template <class T, int K>
__device__ void convolve(const Conv& s, const T* x, const float* filter, const float* bias,
                         unsigned row, float (&z)[8]) {
  load8(bias, z);
#pragma unroll
  for (int j = 0; j < K; ++j) {
    const int from = static_cast<int>(row) - K + 1 + j;
    if (from < 0) continue;
    float v[8], f[8];
    load8(x + from * s.channels, v);
    load8(filter + j * s.channels, f);
#pragma unroll
    for (int k = 0; k < 8; ++k) z[k] = fmaf(f[k], v[k], z[k]);
  }
}

__device__ inline float sigmoid(float x) {
  return 1.0f / (1.0f + __expf(-x));
}

// Where a thread of (sequence, row, vector) stands.
struct Place {
  unsigned vector, row;
  int64_t sequence, member;
  __device__ Place(const Conv& s, int64_t index)
      : vector(static_cast<unsigned>(index % s.vectors)),
        row(static_cast<unsigned>(index / s.vectors % s.time)),
        sequence(index / s.vectors / s.time),
        member(sequence / s.batch) {}
};

template <class T, int K>
__global__ void __launch_bounds__(threads)
    forward(Conv s, int64_t total, const T* x, const float* filter, const float* bias, T* y) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= total) return;
  const Place at(s, index);
  const int64_t first = at.sequence * s.time * s.channels + at.vector * 8;
  float z[8];
  convolve<T, K>(s, x + first, filter + at.member * K * s.channels + at.vector * 8,
                 bias + at.member * s.channels + at.vector * 8, at.row, z);
#pragma unroll
  for (int k = 0; k < 8; ++k) z[k] *= sigmoid(z[k]);
  store8(y + first + at.row * s.channels, z);
}

// dz = dy silu'(z).
template <class T, int K>
__global__ void __launch_bounds__(threads)
    before_silu(Conv s, int64_t total, const T* x, const float* filter, const float* bias,
                const T* dy, T* dz) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= total) return;
  const Place at(s, index);
  const int64_t first = at.sequence * s.time * s.channels + at.vector * 8;
  float z[8], d[8];
  load8(dy + first + at.row * s.channels, d);
  convolve<T, K>(s, x + first, filter + at.member * K * s.channels + at.vector * 8,
                 bias + at.member * s.channels + at.vector * 8, at.row, z);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const float g = sigmoid(z[k]);
    d[k] *= g * (1.0f + z[k] * (1.0f - g));
  }
  store8(dz + first + at.row * s.channels, d);
}

template <class T, int K>
__global__ void __launch_bounds__(threads)
    to_input(Conv s, int64_t total, const float* filter, const T* dz, T* dx) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= total) return;
  const Place at(s, index);
  const int64_t first = at.sequence * s.time * s.channels + at.vector * 8;
  const float* own = filter + at.member * K * s.channels + at.vector * 8;
  float sum[8] = {};
#pragma unroll
  for (int j = 0; j < K; ++j) {
    const unsigned to = at.row + K - 1 - j;  // the row whose tap j this one was
    if (to >= s.time) continue;
    float d[8], f[8];
    load8(dz + first + to * s.channels, d);
    load8(own + j * s.channels, f);
#pragma unroll
    for (int k = 0; k < 8; ++k) sum[k] = fmaf(f[k], d[k], sum[k]);
  }
  store8(dx + first + at.row * s.channels, sum);
}

// One stretch of one sequence and 8 channels a thread.
template <class T, int K>
__global__ void __launch_bounds__(threads)
    to_filter(Conv s, int64_t total, unsigned parts, const T* x, const T* dz, float* partial) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= total) return;
  const int64_t vector = index % s.vectors, part = index / s.vectors;  // part of all sequences
  const int64_t sequence = part / parts, begin = part % parts * stretch;
  const int64_t end = begin + stretch < s.time ? begin + stretch : s.time;
  const int64_t first = sequence * s.time * s.channels + vector * 8;
  float sum[K + 1][8] = {}, seen[K][8] = {};  // seen[j]: row - K + 1 + j
#pragma unroll
  for (int j = 0; j + 1 < K; ++j) {
    const int64_t row = begin - K + 1 + j;
    if (row >= 0) load8(x + first + row * s.channels, seen[j + 1]);
  }
  for (int64_t row = begin; row < end; ++row) {
#pragma unroll
    for (int j = 0; j + 1 < K; ++j)
#pragma unroll
      for (int k = 0; k < 8; ++k) seen[j][k] = seen[j + 1][k];
    float d[8];
    load8(x + first + row * s.channels, seen[K - 1]);
    load8(dz + first + row * s.channels, d);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
#pragma unroll
      for (int j = 0; j < K; ++j) sum[j][k] = fmaf(d[k], seen[j][k], sum[j][k]);
      sum[K][k] += d[k];
    }
  }
  float* to = partial + part * (K + 1) * s.channels + vector * 8;
#pragma unroll
  for (int j = 0; j <= K; ++j) store8(to + j * s.channels, sum[j]);
}

int64_t parts_of(const ConvShape& s) {
  return (s.time + stretch - 1) / stretch;
}

template <class F>
void with_size(int64_t size, F&& f) {
  using std::integral_constant;
  switch (size) {
    case 1:
      return f(integral_constant<int, 1>());
    case 2:
      return f(integral_constant<int, 2>());
    case 3:
      return f(integral_constant<int, 3>());
    default:
      return f(integral_constant<int, 4>());
  }
}

Conv conv_of(const ConvShape& s) {
  return {static_cast<unsigned>(s.channels / 8), static_cast<unsigned>(s.batch),
          static_cast<unsigned>(s.time), s.channels};
}

int64_t threads_of(const ConvShape& s) {
  return s.members * s.batch * s.time * (s.channels / 8);
}

}  // namespace

int64_t conv_parts(const ConvShape& s) {
  return s.batch * parts_of(s);
}

void conv_silu_forward(Type type, const ConvShape& shape, const void* x, const float* filter,
                       const float* bias, void* y, Stream stream) {
  const int64_t total = threads_of(shape);
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_size(shape.size, [&](auto k) {
      forward<T, decltype(k)::value><<<blocks_for(total, threads), threads, 0, stream>>>(
          conv_of(shape), total, static_cast<const T*>(x), filter, bias, static_cast<T*>(y));
    });
  });
  check_launch();
}

void conv_silu_backward(Type type, const ConvShape& shape, const void* x, const float* filter,
                        const float* bias, const void* dy, void* dz, void* dx, float* partial,
                        Stream stream) {
  const int64_t total = threads_of(shape), parts = parts_of(shape);
  const int64_t sums = shape.members * shape.batch * parts * (shape.channels / 8);
  const Conv s = conv_of(shape);
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_size(shape.size, [&](auto k) {
      constexpr int K = decltype(k)::value;
      before_silu<T, K><<<blocks_for(total, threads), threads, 0, stream>>>(
          s, total, static_cast<const T*>(x), filter, bias, static_cast<const T*>(dy),
          static_cast<T*>(dz));
      to_input<T, K><<<blocks_for(total, threads), threads, 0, stream>>>(
          s, total, filter, static_cast<const T*>(dz), static_cast<T*>(dx));
      to_filter<T, K><<<blocks_for(sums, threads), threads, 0, stream>>>(
          s, sums, static_cast<unsigned>(parts), static_cast<const T*>(x),
          static_cast<const T*>(dz), partial);
    });
  });
  check_launch();
}

}  // namespace rung::cuda

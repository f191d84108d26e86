// Activations, eight outputs a thread.
#include "ops/cuda/curve.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

template <class T, Curve curve>
__global__ void __launch_bounds__(threads)
    forward(unsigned total, unsigned vectors, const T* input, float slope, float scale, T* out) {
  const unsigned index = blockIdx.x * threads + threadIdx.x;
  if (index >= total) return;
  const unsigned row = index / vectors, column = index % vectors;
  const int64_t at = static_cast<int64_t>(row) * vectors * (gated<curve> ? 2 : 1) + column;
  float x[8], up[8], derivative;
  load8(input + at * 8, x);
  if constexpr (gated<curve>) load8(input + (at + vectors) * 8, up);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    x[k] = scale * apply<curve>(x[k], slope, derivative);
    if constexpr (gated<curve>) x[k] *= up[k];
  }
  store8(out + static_cast<int64_t>(index) * 8, x);
}

template <class T, Curve curve>
__global__ void __launch_bounds__(threads)
    backward(unsigned total, unsigned vectors, const T* input, const T* dout, float slope,
             float scale, T* dinput) {
  const unsigned index = blockIdx.x * threads + threadIdx.x;
  if (index >= total) return;
  const unsigned row = index / vectors, column = index % vectors;
  const int64_t at = static_cast<int64_t>(row) * vectors * (gated<curve> ? 2 : 1) + column;
  float x[8], up[8], dy[8], derivative;
  load8(input + at * 8, x);
  load8(dout + static_cast<int64_t>(index) * 8, dy);
  if constexpr (gated<curve>) load8(input + (at + vectors) * 8, up);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const float value = apply<curve>(x[k], slope, derivative), d = scale * dy[k];
    if constexpr (gated<curve>) {
      x[k] = d * up[k] * derivative;
      up[k] = d * value;
    } else {
      x[k] = d * derivative;
    }
  }
  store8(dinput + at * 8, x);
  if constexpr (gated<curve>) store8(dinput + (at + vectors) * 8, up);
}

}  // namespace

void activation_forward(Type type, Curve curve, int64_t rows, int64_t width, const void* input,
                        float slope, float scale, void* out, Stream stream) {
  const int64_t vectors = width / 8, total = rows * vectors;
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_curve(curve, [&](auto c) {
      forward<T, decltype(c)::value><<<blocks_for(total, threads), threads, 0, stream>>>(
          static_cast<unsigned>(total), static_cast<unsigned>(vectors),
          static_cast<const T*>(input), slope, scale, static_cast<T*>(out));
    });
  });
  check_launch();
}

void activation_backward(Type type, Curve curve, int64_t rows, int64_t width, const void* input,
                         const void* dout, float slope, float scale, void* dinput, Stream stream) {
  const int64_t vectors = width / 8, total = rows * vectors;
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    with_curve(curve, [&](auto c) {
      backward<T, decltype(c)::value><<<blocks_for(total, threads), threads, 0, stream>>>(
          static_cast<unsigned>(total), static_cast<unsigned>(vectors),
          static_cast<const T*>(input), static_cast<const T*>(dout), slope, scale,
          static_cast<T*>(dinput));
    });
  });
  check_launch();
}

}  // namespace rung::cuda

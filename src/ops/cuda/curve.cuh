// The activations' curves.
#pragma once
#include "ops/cuda/common.cuh"

namespace rung::cuda {

constexpr float log2_e = 1.44269504f;

// 1 / (1 + 2^x): the hardware's own two functions, without care for subnormal numbers.
__device__ inline float sigmoid_of_power(float x) {
  float power, y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(1.0f + power));
  return y;
}
__device__ inline float sigmoid(float x) {
  return sigmoid_of_power(-log2_e * x);
}

// gelu_tanh(m x) / (m x) and the derivative of gelu_tanh(m x) / m with respect to x;
// 1 + tanh z = 2 sigmoid(2 z).
__device__ inline float gelu_part(float x, float m, float& derivative) {
  constexpr float c = 0.7978845608028654f, a = 0.044715f;
  const float u = m * x, s = sigmoid(2.0f * c * (u + a * u * u * u));
  derivative = s + u * s * (1.0f - s) * 2.0f * c * (1.0f + 3.0f * a * u * u);
  return s;
}
// gelu_tanh(m x) / m and its derivative with respect to x.
__device__ inline float gelu(float x, float m, float& derivative) {
  return x * gelu_part(x, m, derivative);
}

// The curve of the gate (or of the only input) and its derivative.
template <Curve curve>
__device__ inline float apply(float x, float m, float& derivative) {
  if constexpr (curve == Curve::swiglu) {
    const float s = sigmoid(m * x);
    derivative = s + m * x * s * (1.0f - s);
    return x * s;
  } else if constexpr (curve == Curve::relu2) {
    const float positive = x < 0.0f ? 0.0f : x;  // lets NaN through
    derivative = 2.0f * positive;
    return positive * positive;
  } else {
    return gelu(x, m, derivative);
  }
}

template <Curve curve>
constexpr bool gated = curve == Curve::swiglu || curve == Curve::geglu;

template <class F>
void with_curve(Curve curve, F&& f) {
  using std::integral_constant;
  switch (curve) {
    case Curve::swiglu:
      return f(integral_constant<Curve, Curve::swiglu>());
    case Curve::geglu:
      return f(integral_constant<Curve, Curve::geglu>());
    case Curve::gelu:
      return f(integral_constant<Curve, Curve::gelu>());
    case Curve::relu2:
      return f(integral_constant<Curve, Curve::relu2>());
  }
}

}  // namespace rung::cuda

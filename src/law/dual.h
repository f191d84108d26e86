// Numbers that carry their derivatives (forward-mode automatic differentiation): value, gradient
// and, with Order 2, the Hessian with respect to K coefficients. A law's formula is written once
// over the scalar type.
#pragma once
#include <array>
#include <cmath>

namespace rung {

// Entries of a symmetric K x K matrix, kept as its lower triangle by rows: (i, j <= i) at i (i + 1)
// / 2 + j.
constexpr int triangle(int k) {
  return k * (k + 1) / 2;
}

template <int K, int Order>
struct Dual {
  static constexpr int hessian_size = Order == 2 ? triangle(K) : 1;
  double value = 0.0;
  std::array<double, K> gradient{};
  std::array<double, hessian_size> hessian{};

  Dual() = default;
  Dual(double value) : value(value) {}  // a constant: formulas mix both freely
  static Dual variable(double value, int index) {
    Dual result(value);
    result.gradient[index] = 1.0;
    return result;
  }
};

// For branches of a formula.
inline double value_of(double a) {
  return a;
}
template <int K, int Order>
double value_of(const Dual<K, Order>& a) {
  return a.value;
}

// f(a) from f, f' and f'' at a.value.
template <int K, int Order>
Dual<K, Order> chain(const Dual<K, Order>& a, double f, double f1, double f2) {
  Dual<K, Order> result(f);
  for (int i = 0; i < K; ++i) result.gradient[i] = f1 * a.gradient[i];
  if constexpr (Order == 2) {
    for (int i = 0, at = 0; i < K; ++i) {
      const double scaled = f2 * a.gradient[i];
      for (int j = 0; j <= i; ++j, ++at)
        result.hessian[at] = f1 * a.hessian[at] + scaled * a.gradient[j];
    }
  }
  return result;
}

template <int K, int Order>
Dual<K, Order> operator+(Dual<K, Order> a, const Dual<K, Order>& b) {
  a.value += b.value;
  for (int i = 0; i < K; ++i) a.gradient[i] += b.gradient[i];
  if constexpr (Order == 2)
    for (int i = 0; i < triangle(K); ++i) a.hessian[i] += b.hessian[i];
  return a;
}

template <int K, int Order>
Dual<K, Order> operator*(Dual<K, Order> a, double b) {
  a.value *= b;
  for (double& g : a.gradient) g *= b;
  if constexpr (Order == 2)
    for (double& h : a.hessian) h *= b;
  return a;
}

template <int K, int Order>
Dual<K, Order> operator*(const Dual<K, Order>& a, const Dual<K, Order>& b) {
  Dual<K, Order> result(a.value * b.value);
  for (int i = 0; i < K; ++i)
    result.gradient[i] = a.value * b.gradient[i] + b.value * a.gradient[i];
  if constexpr (Order == 2) {
    for (int i = 0, at = 0; i < K; ++i)
      for (int j = 0; j <= i; ++j, ++at)
        result.hessian[at] = a.value * b.hessian[at] + b.value * a.hessian[at] +
                             a.gradient[i] * b.gradient[j] + b.gradient[i] * a.gradient[j];
  }
  return result;
}

template <int K, int Order>
Dual<K, Order> operator-(const Dual<K, Order>& a) {
  return a * -1.0;
}
template <int K, int Order>
Dual<K, Order> operator-(const Dual<K, Order>& a, const Dual<K, Order>& b) {
  return a + b * -1.0;
}
template <int K, int Order>
Dual<K, Order> operator+(Dual<K, Order> a, double b) {
  a.value += b;
  return a;
}
template <int K, int Order>
Dual<K, Order> operator+(double a, Dual<K, Order> b) {
  b.value += a;
  return b;
}
template <int K, int Order>
Dual<K, Order> operator-(Dual<K, Order> a, double b) {
  a.value -= b;
  return a;
}
template <int K, int Order>
Dual<K, Order> operator-(double a, const Dual<K, Order>& b) {
  return a + b * -1.0;
}
template <int K, int Order>
Dual<K, Order> operator*(double a, const Dual<K, Order>& b) {
  return b * a;
}
template <int K, int Order>
Dual<K, Order> inverse(const Dual<K, Order>& a) {
  const double f = 1.0 / a.value;
  return chain(a, f, -f * f, 2.0 * f * f * f);
}
template <int K, int Order>
Dual<K, Order> operator/(const Dual<K, Order>& a, const Dual<K, Order>& b) {
  return a * inverse(b);
}
template <int K, int Order>
Dual<K, Order> operator/(const Dual<K, Order>& a, double b) {
  return a * (1.0 / b);
}
template <int K, int Order>
Dual<K, Order> operator/(double a, const Dual<K, Order>& b) {
  return inverse(b) * a;
}
template <int K, int Order>
Dual<K, Order> exp(const Dual<K, Order>& a) {
  const double f = std::exp(a.value);
  return chain(a, f, f, f);
}
template <int K, int Order>
Dual<K, Order> log(const Dual<K, Order>& a) {
  const double f = 1.0 / a.value;
  return chain(a, std::log(a.value), f, -f * f);
}
template <int K, int Order>
Dual<K, Order> pow(const Dual<K, Order>& a, double b) {
  const double f = std::pow(a.value, b);
  return chain(a, f, b * f / a.value, b * (b - 1.0) * f / (a.value * a.value));
}
template <int K, int Order>
Dual<K, Order> pow(const Dual<K, Order>& a, const Dual<K, Order>& b) {
  return exp(b * log(a));
}

// ln(1 + e^z) without overflow.
inline double softplus(double z) {
  return std::fmax(z, 0.0) + std::log1p(std::exp(-std::fabs(z)));
}
template <int K, int Order>
Dual<K, Order> softplus(const Dual<K, Order>& a) {
  const double s = 1.0 / (1.0 + std::exp(-a.value));
  return chain(a, softplus(a.value), s, s * (1.0 - s));
}

}  // namespace rung

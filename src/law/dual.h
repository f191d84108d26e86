// Numbers that carry their derivatives (forward-mode automatic differentiation): value, gradient
// and, with Order 2, the Hessian with respect to those coefficients that the number depends on. A
// law's formula is written once over such types.
#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace rung {

// Entries of a symmetric K x K matrix, kept as its lower triangle by rows: (i, j <= i) at i (i + 1)
// / 2 + j.
constexpr int triangle(int k) {
  return k * (k + 1) / 2;
}
constexpr int triangle_at(int i, int j) {
  return i >= j ? triangle(i) + j : triangle(j) + i;
}

// Bit i of Mask: depends on coefficient i. Only these have entries, in their order, so that a term
// of two coefficients costs what two cost, whatever the law has besides.
template <uint32_t Mask, int Order>
struct Jet {
  static constexpr int size = std::popcount(Mask);
  static constexpr int hessian_size = Order == 2 ? triangle(size) : 0;
  double value = 0.0;
  std::array<double, size> gradient{};
  std::array<double, hessian_size> hessian{};

  Jet() = default;
  Jet(double value) : value(value) {}  // a constant: formulas mix both freely
  // The coefficient itself; of a mask of several the `index`-th.
  static Jet variable(double value, int index = 0) {
    Jet result(value);
    result.gradient[index] = 1.0;
    return result;
  }
  // Where a branch of a formula depends on less than another.
  template <uint32_t Part>
  requires(Part != Mask && (Part & ~Mask) == 0) Jet(const Jet<Part, Order>& part);
};

// One that depends on all of K coefficients.
constexpr uint32_t first_bits(int k) {
  return k >= 32 ? ~uint32_t{0} : (uint32_t{1} << k) - 1;
}
template <int K, int Order>
using Dual = Jet<first_bits(K), Order>;

// Where the coefficients of Part stand among those of Mask.
template <uint32_t Part, uint32_t Mask>
constexpr auto places = [] {
  std::array<int, std::popcount(Part)> result{};
  for (int bit = 0, i = 0; bit < 32; ++bit)
    if (Part >> bit & 1) result[i++] = std::popcount(Mask & first_bits(bit));
  return result;
}();

// sum += factor part, derivatives alone.
template <uint32_t Mask, uint32_t Part, int Order>
void add_derivatives(Jet<Mask, Order>& sum, const Jet<Part, Order>& part, double factor) {
  constexpr auto& at = places<Part, Mask>;
  constexpr int n = std::popcount(Part);
  for (int i = 0; i < n; ++i) sum.gradient[at[i]] += factor * part.gradient[i];
  if constexpr (Order == 2)
    for (int i = 0, from = 0; i < n; ++i)
      for (int j = 0; j <= i; ++j, ++from)
        sum.hessian[triangle(at[i]) + at[j]] += factor * part.hessian[from];
}

// sum.hessian += factor (u v^T + v u^T)/2 with the gradients u and v of a and b.
template <uint32_t Mask, uint32_t A, uint32_t B>
void add_outer(Jet<Mask, 2>& sum, const Jet<A, 2>& a, const Jet<B, 2>& b, double factor) {
  constexpr auto& at = places<A, Mask>;
  constexpr auto& bt = places<B, Mask>;
  for (int i = 0; i < std::popcount(A); ++i) {
    const double scaled = 0.5 * factor * a.gradient[i];
    for (int j = 0; j < std::popcount(B); ++j)
      sum.hessian[triangle_at(at[i], bt[j])] +=
          (at[i] == bt[j] ? 2.0 : 1.0) * scaled * b.gradient[j];
  }
}

template <uint32_t Mask, int Order>
template <uint32_t Part>
requires(Part != Mask && (Part & ~Mask) == 0) Jet<Mask, Order>::Jet(const Jet<Part, Order>& part)
    : value(part.value) {
  add_derivatives(*this, part, 1.0);
}

// For branches of a formula.
inline double value_of(double a) {
  return a;
}
template <uint32_t Mask, int Order>
double value_of(const Jet<Mask, Order>& a) {
  return a.value;
}

// f(a) from f, f' and f'' at a.value.
template <uint32_t Mask, int Order>
Jet<Mask, Order> chain(const Jet<Mask, Order>& a, double f, double f1, double f2) {
  constexpr int n = std::popcount(Mask);
  Jet<Mask, Order> result(f);
  for (int i = 0; i < n; ++i) result.gradient[i] = f1 * a.gradient[i];
  if constexpr (Order == 2) {
    for (int i = 0, at = 0; i < n; ++i) {
      const double scaled = f2 * a.gradient[i];
      for (int j = 0; j <= i; ++j, ++at)
        result.hessian[at] = f1 * a.hessian[at] + scaled * a.gradient[j];
    }
  }
  return result;
}

template <uint32_t A, uint32_t B, int Order>
Jet<(A | B), Order> operator+(const Jet<A, Order>& a, const Jet<B, Order>& b) {
  Jet<(A | B), Order> result(a.value + b.value);
  add_derivatives(result, a, 1.0);
  add_derivatives(result, b, 1.0);
  return result;
}
template <uint32_t A, uint32_t B, int Order>
Jet<(A | B), Order> operator-(const Jet<A, Order>& a, const Jet<B, Order>& b) {
  Jet<(A | B), Order> result(a.value - b.value);
  add_derivatives(result, a, 1.0);
  add_derivatives(result, b, -1.0);
  return result;
}
template <uint32_t A, uint32_t B, int Order>
Jet<(A | B), Order> operator*(const Jet<A, Order>& a, const Jet<B, Order>& b) {
  Jet<(A | B), Order> result(a.value * b.value);
  add_derivatives(result, a, b.value);
  add_derivatives(result, b, a.value);
  if constexpr (Order == 2) add_outer(result, a, b, 2.0);
  return result;
}

template <uint32_t Mask, int Order>
Jet<Mask, Order> operator*(Jet<Mask, Order> a, double b) {
  a.value *= b;
  for (double& g : a.gradient) g *= b;
  for (double& h : a.hessian) h *= b;
  return a;
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> operator-(const Jet<Mask, Order>& a) {
  return a * -1.0;
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> operator+(Jet<Mask, Order> a, double b) {
  a.value += b;
  return a;
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> operator+(double a, Jet<Mask, Order> b) {
  b.value += a;
  return b;
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> operator-(Jet<Mask, Order> a, double b) {
  a.value -= b;
  return a;
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> operator-(double a, const Jet<Mask, Order>& b) {
  return a + b * -1.0;
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> operator*(double a, const Jet<Mask, Order>& b) {
  return b * a;
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> inverse(const Jet<Mask, Order>& a) {
  const double f = 1.0 / a.value;
  return chain(a, f, -f * f, 2.0 * f * f * f);
}
template <uint32_t A, uint32_t B, int Order>
Jet<(A | B), Order> operator/(const Jet<A, Order>& a, const Jet<B, Order>& b) {
  return a * inverse(b);
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> operator/(const Jet<Mask, Order>& a, double b) {
  return a * (1.0 / b);
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> operator/(double a, const Jet<Mask, Order>& b) {
  return inverse(b) * a;
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> exp(const Jet<Mask, Order>& a) {
  const double f = std::exp(a.value);
  return chain(a, f, f, f);
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> log(const Jet<Mask, Order>& a) {
  const double f = 1.0 / a.value;
  return chain(a, std::log(a.value), f, -f * f);
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> pow(const Jet<Mask, Order>& a, double b) {
  const double f = std::pow(a.value, b);
  return chain(a, f, b * f / a.value, b * (b - 1.0) * f / (a.value * a.value));
}
template <uint32_t A, uint32_t B, int Order>
Jet<(A | B), Order> pow(const Jet<A, Order>& a, const Jet<B, Order>& b) {
  return exp(b * log(a));
}

// ln(1 + e^z) without overflow.
inline double softplus(double z) {
  return std::fmax(z, 0.0) + std::log1p(std::exp(-std::fabs(z)));
}
template <uint32_t Mask, int Order>
Jet<Mask, Order> softplus(const Jet<Mask, Order>& a) {
  const double e = std::exp(-std::fabs(a.value));
  const double s = (a.value < 0.0 ? e : 1.0) / (1.0 + e);
  return chain(a, std::fmax(a.value, 0.0) + std::log1p(e), s, s * (1.0 - s));
}

}  // namespace rung

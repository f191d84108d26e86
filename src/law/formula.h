// From a formula template to the evaluator of a law: one text, three kinds of numbers.
#pragma once
#include <array>
#include <tuple>
#include <utility>

#include "law/dual.h"
#include "law/law.h"

namespace rung {

// One row of inputs as a formula sees it.
struct Inputs {
  const double* values;
  const double* logs;
  double operator[](int i) const { return values[i]; }
  double log(int i) const { return logs[i]; }
};

// The coefficients as numbers that depend on themselves alone: a tuple, as each is of its own type.
template <int k, int Order>
auto seeds(const double* c) {
  return [&]<size_t... i>(std::index_sequence<i...>) {
    return std::tuple(Jet<uint32_t{1} << i, Order>::variable(c[i])...);
  }
  (std::make_index_sequence<k>{});
}

// f(0) + ... + f(n - 1), each index a constant.
template <int n, class F>
auto sum_over(F&& f) {
  return [&]<int... i>(std::integer_sequence<int, i...>) {
    return (... + f(std::integral_constant<int, i>{}));
  }
  (std::make_integer_sequence<int, n>{});
}

// Formula is a stateless type with `coefficients`, `inputs` (counts) and
// `static auto loss(const auto& c, const Inputs& x)`; c is an array of numbers or a tuple of jets,
// taken apart by a structured binding or std::get.
template <class Formula>
void evaluate_formula(const Law&, const double* c, const double* inputs, size_t rows, int order,
                      double* out) {
  constexpr int k = Formula::coefficients;
  constexpr int width = Formula::inputs;
  const auto run = [&](const auto& at, auto&& store) {
    for (size_t row = 0; row < rows; ++row, inputs += 2 * width)
      store(Formula::loss(at, Inputs{inputs, inputs + width}));
  };
  if (order == 0) {
    std::array<double, k> at;
    for (int i = 0; i < k; ++i) at[i] = c[i];
    run(at, [&](double value) { *out++ = value; });
  } else if (order == 1) {
    run(seeds<k, 1>(c), [&](const Dual<k, 1>& jet) {
      *out++ = jet.value;
      for (const double g : jet.gradient) *out++ = g;
    });
  } else {
    run(seeds<k, 2>(c), [&](const Dual<k, 2>& jet) {
      *out++ = jet.value;
      for (const double g : jet.gradient) *out++ = g;
      for (const double h : jet.hessian) *out++ = h;
    });
  }
}

}  // namespace rung

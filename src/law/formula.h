// From a formula template to the evaluator of a law: one text, three scalar types.
#pragma once
#include <array>

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

// Formula is a stateless type with `coefficients`, `inputs` (counts) and
// `template <class T> static T loss(const std::array<T, coefficients>& c, const Inputs& x)`.
template <class Formula>
void evaluate_formula(const Law&, const double* c, const double* inputs, size_t rows, int order,
                      double* out) {
  constexpr int k = Formula::coefficients;
  constexpr int width = Formula::inputs;
  const auto run = [&]<class T>(const std::array<T, k>& at, auto&& store) {
    for (size_t row = 0; row < rows; ++row, inputs += 2 * width)
      store(Formula::template loss<T>(at, Inputs{inputs, inputs + width}));
  };
  const auto seeded = [&]<class T>() {
    std::array<T, k> at;
    for (int i = 0; i < k; ++i) at[i] = T::variable(c[i], i);
    return at;
  };
  if (order == 0) {
    std::array<double, k> at;
    for (int i = 0; i < k; ++i) at[i] = c[i];
    run(at, [&](double value) { *out++ = value; });
  } else if (order == 1) {
    run(seeded.template operator()<Dual<k, 1>>(), [&](const Dual<k, 1>& jet) {
      *out++ = jet.value;
      for (const double g : jet.gradient) *out++ = g;
    });
  } else {
    run(seeded.template operator()<Dual<k, 2>>(), [&](const Dual<k, 2>& jet) {
      *out++ = jet.value;
      for (const double g : jet.gradient) *out++ = g;
      for (const double h : jet.hessian) *out++ = h;
    });
  }
}

}  // namespace rung

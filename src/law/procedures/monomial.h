// The laws that most procedures end in: y = k x1^a1 ... xn^an, a straight line in logarithms, and
// the saturating power law.
#pragma once
#include "law/formula.h"
#include "law/laws/terms.h"

namespace rung {

// Coefficients: k, then one exponent an input.
template <int n>
struct Monomial {
  static constexpr int coefficients = n + 1, inputs = n;
  template <class T>
  static T loss(const std::array<T, n + 1>& c, const Inputs& x) {
    using std::exp;
    T power = c[1] * x.log(0);
    for (int i = 1; i < n; ++i) power = power + c[i + 1] * x.log(i);
    return c[0] * exp(power);
  }
};

// E + A x^-alpha.
struct Saturating {
  static constexpr int coefficients = 3, inputs = 1;
  template <class T>
  static T loss(const std::array<T, 3>& c, const Inputs& x) {
    using std::exp;
    return c[0] + c[1] * exp(-c[2] * x.log(0));
  }
};

constexpr Coefficient exponent_coefficient(std::string_view name, std::string_view meaning,
                                           double typical, int points = 33) {
  return {.name = name,
          .meaning = meaning,
          .lo = -5.0,
          .hi = 5.0,
          .grid_lo = -1.6,
          .grid_hi = 1.6,
          .grid_points = points,
          .typical = typical};
}

}  // namespace rung

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
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    return std::get<0>(c) * exp(sum_over<n>([&](auto i) { return std::get<i + 1>(c) * x.log(i); }));
  }
};

// E + A x^-alpha.
struct Saturating {
  static constexpr int coefficients = 3, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [E, A, alpha] = c;
    return E + A * exp(-alpha * x.log(0));
  }
};

// Losses vary little, so that a power of one is steep: Kaplan et al. 2020 have a critical batch of
// 2e8 L^-4.76 over a decade of L, and a narrow range gives more.
constexpr Coefficient exponent_coefficient(std::string_view name, std::string_view meaning,
                                           double typical, int points = 33) {
  return {.name = name,
          .meaning = meaning,
          .lo = -20.0,
          .hi = 20.0,
          .grid_lo = -1.6,
          .grid_hi = 1.6,
          .grid_points = points,
          .typical = typical};
}

}  // namespace rung

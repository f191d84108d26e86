// E + A/N^alpha + B/D^beta, the form that several sources share with different coefficients.
#pragma once
#include "law/formula.h"
#include "law/power_term.h"

namespace rung {

struct SizeAndData {
  static constexpr int coefficients = 5, inputs = 2;
  template <class T>
  static T loss(const std::array<T, 5>& c, const Inputs& x) {
    const auto& [E, A, B, alpha, beta] = c;
    return E + power_term(A, alpha, x.log(0)) + power_term(B, beta, x.log(1));
  }
};

// Its coefficients E, A, B, alpha, beta with a source's values.
constexpr std::array<Coefficient, 5> size_and_data_coefficients(
    const std::array<double, 5>& typical) {
  const auto term = [](std::string_view name, std::string_view meaning, double value) {
    return Coefficient{.name = name,
                       .meaning = meaning,
                       .scale = Scale::log,
                       .lo = 0.0,
                       .linear = true,
                       .typical = value};
  };
  const auto exponent = [](std::string_view name, std::string_view meaning, double value) {
    return Coefficient{.name = name,
                       .meaning = meaning,
                       .lo = 0.005,
                       .hi = 3.0,
                       .grid_lo = 0.05,
                       .grid_hi = 0.95,
                       .grid_points = 32,
                       .typical = value};
  };
  return {Coefficient{.name = "E",
                      .meaning = "irreducible loss",
                      .lo = 0.0,
                      .linear = true,
                      .typical = typical[0]},
          term("A", "size term", typical[1]), term("B", "data term", typical[2]),
          exponent("alpha", "exponent of size", typical[3]),
          exponent("beta", "exponent of data", typical[4])};
}

}  // namespace rung

// Coefficients of a loss's terms, E + A/x^alpha, that many laws share.
#pragma once
#include "law/law.h"

namespace rung {

constexpr Coefficient irreducible_loss(double typical) {
  return {
      .name = "E", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = typical};
}

// A positive factor in front of a power.
constexpr Coefficient factor_coefficient(std::string_view name, std::string_view meaning,
                                         double typical) {
  return {.name = name,
          .meaning = meaning,
          .scale = Scale::log,
          .lo = 0.0,
          .linear = true,
          .typical = typical};
}

struct ExponentGrid {
  double lo = 0.05, hi = 0.95;
  int points = 32;
};
// Coarse, for laws with further axes.
constexpr ExponentGrid coarse_exponents{0.1, 0.9, 6};

// The exponent of a term that falls.
constexpr Coefficient loss_exponent(std::string_view name, std::string_view meaning, double typical,
                                    ExponentGrid grid = {}) {
  return {.name = name,
          .meaning = meaning,
          .lo = 0.005,
          .hi = 3.0,
          .grid_lo = grid.lo,
          .grid_hi = grid.hi,
          .grid_points = grid.points,
          .typical = typical};
}

}  // namespace rung

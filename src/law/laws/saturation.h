// The number of experts that counts (Clark et al. 2022, equation 1): E_start at E = 1, E_max in the
// limit.
#pragma once
#include "law/law.h"

namespace rung {

template <class S, class M>
auto saturated_experts(double experts, const S& E_start, const M& E_max) {
  const auto offset = 1.0 / (1.0 / E_start - 1.0 / E_max);
  return 1.0 / (1.0 / (offset + (experts - 1.0)) + 1.0 / E_max);
}

// Both coefficients with the values of that source, on start grids of a law's own.
struct SaturationGrid {
  double lo, hi;
  int points;
};
constexpr Coefficient experts_at_start(SaturationGrid grid, bool held = false) {
  return {.name = "E_start",
          .meaning = "experts that a dense model is worth",
          .scale = Scale::log,
          .lo = 1.0,
          .hi = 64.0,
          .grid_lo = grid.lo,
          .grid_hi = grid.hi,
          .grid_points = grid.points,
          .held = held,
          .nuisance = true,
          .typical = 2.394};
}
constexpr Coefficient experts_at_most(SaturationGrid grid, bool held = false) {
  return {.name = "E_max",
          .meaning = "experts beyond which nothing is gained",
          .scale = Scale::log,
          .lo = 8.0,
          .hi = 1e6,
          .grid_lo = grid.lo,
          .grid_hi = grid.hi,
          .grid_points = grid.points,
          .held = held,
          .nuisance = true,
          .typical = 217.7};
}

}  // namespace rung

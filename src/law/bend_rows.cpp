// Compiled as annealing_sum.cpp is, for the same reasons.
#include "law/bend_rows.h"

#include <algorithm>
#include <cmath>

#include "law/widest.h"

namespace rung {
namespace {

// Keeps the reducible loss finite.
constexpr double largest_log = 600.0;

}  // namespace

// By value: what is stored in the loops must not seem to change what they read.
WIDEST void bend_rows(const Bend bend, const double* __restrict log_x, size_t rows,
                      const BendRows out) {
  double* __restrict z_at = out.z;
  double* __restrict above = out.above;
  double* __restrict level_at = out.level;
  double* __restrict term = out.term;
  const double sharp = 1.0 / bend.f, d = bend.a - bend.b;
  for (size_t i = 0; i < rows; ++i) {
    const double z = (log_x[2 * i] - bend.log_break) * sharp;
    const double e = std::exp(-std::fabs(z)), share = 1.0 / (1.0 + e);
    const double level = std::max(z, 0.0) + std::log(1.0 + e);
    z_at[i] = z;
    above[i] = (z < 0.0 ? e : 1.0) * share;
    level_at[i] = level;
    term[i] =
        std::exp(std::min(largest_log, bend.log_A + d * bend.f * level - bend.a * log_x[2 * i]));
  }
}

WIDEST void bend_terms(const Bend bend, const double* __restrict log_x, size_t rows,
                       double* __restrict term) {
  const double sharp = 1.0 / bend.f, d = bend.a - bend.b;
  for (size_t i = 0; i < rows; ++i) {
    const double z = (log_x[2 * i] - bend.log_break) * sharp;
    const double level = std::max(z, 0.0) + std::log(1.0 + std::exp(-std::fabs(z)));
    term[i] =
        std::exp(std::min(largest_log, bend.log_A + d * bend.f * level - bend.a * log_x[2 * i]));
  }
}

}  // namespace rung

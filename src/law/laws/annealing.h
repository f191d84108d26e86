// The two sums over a schedule that the law `annealing` reads.
#pragma once
#include <span>
#include <vector>

namespace rung {

struct AnnealingAreas {
  double S1 = 0.0, S2 = 0.0;
};

// After each step of a schedule, its warm-up included. lambda: how slowly annealing takes effect;
// the source finds 0.99 to 0.999 and keeps it fixed.
std::vector<AnnealingAreas> annealing_areas(std::span<const double> lr, double lambda = 0.999);

}  // namespace rung

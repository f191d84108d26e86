// The sum inside the multi-power law, D = sum_i w_i (1 - (1 + C lr_i^-gamma S_i)^-beta), over the
// terms of a compressed schedule (law/schedule_sum.h), with its derivatives.
#pragma once
#include <cstddef>

namespace rung {

// [count] each.
struct SumTerms {
  const double* weight;
  const double* log_lr;
  const double* sum;
  size_t count;
};

// Derivatives in ln C, beta and gamma; the second ones as a lower triangle.
struct AnnealingJet {
  double value, first[3], second[6];
};

double annealing_sum(const SumTerms& terms, double log_c, double beta, double gamma);
AnnealingJet annealing_jet(const SumTerms& terms, double log_c, double beta, double gamma);

}  // namespace rung

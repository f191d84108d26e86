// The cheapest model of a given quality over its whole life: minimise 6 N D + 2 N D_inf, training
// and serving, subject to L(N, D) = loss. Source: Sardana et al. 2024, "Beyond Chinchilla-Optimal".
#pragma once
#include <span>

#include "law/law.h"

namespace rung {

struct LifetimeOptimum {
  double N = 0.0, D = 0.0;
  double training_flops = 0.0, inference_flops = 0.0;
};

// For a law of inputs N and D (in this order) whose loss falls in both. Fails where no N reaches
// the loss.
LifetimeOptimum lifetime_optimum(const Law& law, std::span<const double> c, double loss,
                                 double inference_tokens);

}  // namespace rung

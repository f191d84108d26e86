// Gradients of several matrices that are sums over the same rows, together where rows are few
// (few_rows_kernels.h) or, of wider matrices, many (many_rows.h), else one product each.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/weight.h"

namespace rung::cuda {

// What add_weight_gradient (ops/linear.h) takes.
struct WeightGradient {
  const Weight& weight;
  at::Tensor dy, x;
  double factor = 1.0;
};
void add_weight_gradients(const std::vector<WeightGradient>& gradients);

}  // namespace rung::cuda

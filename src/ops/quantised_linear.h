// The linear map in simulated number formats, straight through (Bengio et al. 2013):
//   y = A q(x) q(W)^T,   dx = A_input q(dy) q(W),   dW += A_weight q(dy)^T q(x),
// each product with its factors rounded along the axis that it sums over, as units that multiply
// in a format do: scales of channels and blocks lie along that axis.
#pragma once
#include "ops/weight.h"

namespace rung {

at::Tensor quantised_linear(const at::Tensor& x, const Weight& weight);

}  // namespace rung

// Short causal convolution of every channel with its own filter.
#pragma once
#include "ops/weight.h"

namespace rung {

// y_t = bias + sum over j < k of filter[j] x_{t - k + 1 + j}. x [P, B, T, C], filter [P, C, k],
// bias [P, C]; `past` [P, B, k - 1, C] holds the inputs before the first (undefined: zero). Returns
// {y, the last k - 1 inputs}.
std::pair<at::Tensor, at::Tensor> causal_conv(const at::Tensor& x, const Weight& filter,
                                              const Weight& bias, const at::Tensor& past);

}  // namespace rung

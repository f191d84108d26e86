// Short causal convolution of every channel with its own filter, then SiLU.
#pragma once
#include "ops/weight.h"

namespace rung {

struct Conv {
  at::Tensor y;     // [P, B, T, C]
  at::Tensor past;  // [P, B, k - 1, C], the last inputs
};

// y_t = silu(bias + sum over j < k of filter[j] x_{t - k + 1 + j}). x [P, B, T, C], filter [P, C,
// k], bias [P, C]; `past` holds the inputs before the first (undefined: zero).
Conv causal_conv_silu(const at::Tensor& x, const Weight& filter, const Weight& bias,
                      const at::Tensor& past);
// Plain twin.
Conv causal_conv_silu_plain(const at::Tensor& x, const Weight& filter, const Weight& bias,
                            const at::Tensor& past);

}  // namespace rung

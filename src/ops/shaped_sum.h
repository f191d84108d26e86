// The sum of shaped attention (Noci et al. 2023, arXiv 2306.17759; He & Hofmann 2024, arXiv
// 2311.01906) behind the attention: a head's own values, their mixture, and less their mean so far.
#pragma once
#include <ATen/core/Tensor.h>

#include "ops/weight.h"

namespace rung {

struct ShapedGains {
  Weight alpha, beta, gamma;  // [P, H]
};

// y_t = alpha v_t + beta mixed_t - gamma mean_{s <= t} v_s, a gain for the units of each head; v
// and mixed [P, B, T, D] -> y. `before` [P, B, T', H, d] are values of positions ahead of v's,
// which get no gradient in the fused op (undefined: none).
at::Tensor shaped_sum(const at::Tensor& v, const at::Tensor& mixed, const ShapedGains& gains,
                      const at::Tensor& before = {});
at::Tensor shaped_sum_plain(const at::Tensor& v, const at::Tensor& mixed, const ShapedGains& gains,
                            const at::Tensor& before = {});

// Both twins' view of the gains: [P, 3, H] with their multipliers, in fp32 at least; and sums of
// their gradients, [P, 3, H], added to their places.
at::Tensor shaped_gains(const ShapedGains& gains);
void add_shaped_gains(const ShapedGains& gains, const at::Tensor& sums);

}  // namespace rung

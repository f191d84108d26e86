// Linear maps whose outputs lie side by side, as ops on packed rows read them.
#pragma once
#include <vector>

#include "ops/weight.h"

namespace rung {

// [W_1 x | W_2 x | ... | tail]: x [P, B, T, D], weights [P, out, D], tail [P, B, T, D']. The
// products write where the rows lie and read their gradients there, so that nothing but the tail is
// copied.
at::Tensor packed_linears(const at::Tensor& x, std::vector<Weight> weights, const at::Tensor& tail);
at::Tensor packed_linears_plain(const at::Tensor& x, const std::vector<Weight>& weights,
                                const at::Tensor& tail);

}  // namespace rung

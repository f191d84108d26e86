// Linear maps whose outputs lie side by side, as ops on packed rows read them.
#pragma once
#include <vector>

#include "ops/weight.h"

namespace rung {

// [W_1 x | W_2 x | ... | tail]: x [P, B, T, D], weights [P, out, D], tail [P, B, T, D']. On a GPU
// as packed_linears_written; on the CPU as the plain twin, whose copies cost less there than
// products on rows with gaps (4 % of a step of SAS at width 32).
at::Tensor packed_linears(const at::Tensor& x, const std::vector<Weight>& weights,
                          const at::Tensor& tail);
// The products write where the rows lie and read their gradients there: nothing but the tail is
// copied.
at::Tensor packed_linears_written(const at::Tensor& x, std::vector<Weight> weights,
                                  const at::Tensor& tail);
at::Tensor packed_linears_plain(const at::Tensor& x, const std::vector<Weight>& weights,
                                const at::Tensor& tail);

}  // namespace rung

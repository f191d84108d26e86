// Rows of a large table that each token picks for itself, as single-neuron experts are read.
#pragma once
#include "ops/weight.h"

namespace rung {

// a[p, r, s] = A <x[p, r], table[p, index[p, r, s]]>. x [P, R, D], table [P, N, D], index [P, R, S]
// int64. Backward adds to the picked rows of the table's gradient alone.
at::Tensor picked_dots(const at::Tensor& x, const Weight& table, const at::Tensor& index);
at::Tensor picked_dots_plain(const at::Tensor& x, const Weight& table, const at::Tensor& index);
// y[p, r] = A sum_s w[p, r, s] table[p, index[p, r, s]]. w [P, R, S] -> [P, R, D].
at::Tensor picked_sum(const at::Tensor& w, const Weight& table, const at::Tensor& index);
at::Tensor picked_sum_plain(const at::Tensor& w, const Weight& table, const at::Tensor& index);

}  // namespace rung

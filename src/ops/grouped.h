// Rows sorted by group, and one linear map a group: what a mixture of experts multiplies, without a
// dense product over all of them and without a limit on a group's rows.
#pragma once
#include <span>

#include "ops/weight.h"

namespace rung {

// Where each of the k copies of each row goes, members apart.
struct Groups {
  at::Tensor order;    // [P, S] int64: copy (row * k + rank) at each sorted place, S = rows k
  at::Tensor inverse;  // [P, S] int64: the sorted place of each copy
  // How many rows each group has. On the CPU [P][groups], each summing to S; on a GPU, which is not
  // waited for, where its rows end: [P, groups + 1] int32 from 0 to S.
  std::vector<std::vector<int64_t>> counts;
  at::Tensor ends;
};
// group [P, rows, k] int64; within a group copies keep their order.
Groups sort_by_group(const at::Tensor& group, int64_t groups);

// Rows of each group, [P, groups] in the type of `like`.
at::Tensor group_sizes(const Groups& groups, const at::Tensor& like);

// The k copies of the rows of x [P, rows, D], sorted -> [P, S, D].
at::Tensor to_groups(const at::Tensor& x, const Groups& groups);
at::Tensor to_groups_plain(const at::Tensor& x, const Groups& groups);
// The way back: y [P, S, D] -> [P, rows, k, D].
at::Tensor from_groups(const at::Tensor& y, const Groups& groups, int64_t k);

// sum over each row's copies of weights [P, rows, k] y -> [P, rows, D]; weights in y's type or
// wider.
at::Tensor mixed_groups(const at::Tensor& y, const Groups& groups, const at::Tensor& weights);
at::Tensor mixed_groups_plain(const at::Tensor& y, const Groups& groups, const at::Tensor& weights);

// y = A x W_g^T on the rows of each group g. x [P, S, in], weights [P, out, in] -> [P, S, out].
at::Tensor grouped_linear(const at::Tensor& x, std::span<const Weight> weights,
                          const Groups& groups);
at::Tensor grouped_linear_plain(const at::Tensor& x, std::span<const Weight> weights,
                                const Groups& groups);

// The identity on x; each member's `loss` [P], a mean whose own gradient is `factor`, takes part in
// the backward pass. How an auxiliary loss trains without being a part of what is reported.
at::Tensor with_loss(const at::Tensor& x, const at::Tensor& loss, double factor);

}  // namespace rung

// The k largest of all sums of two lists, without looking at them all.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// Places in a and b [P, R, n], n >= k, of the terms of the k largest of the n^2 sums of each row,
// largest first: two tensors [P, R, k] int64. They are among the sums of the k largest of each, as
// an entry below these has k better partners for any entry of the other list. No gradient.
struct TopSums {
  at::Tensor first, second;
};
TopSums top_sums(const at::Tensor& a, const at::Tensor& b, int64_t k);
TopSums top_sums_plain(const at::Tensor& a, const at::Tensor& b, int64_t k);

// x.gather(-1, index), whose gradient is the same bits every time.
at::Tensor gathered(const at::Tensor& x, const at::Tensor& index);

}  // namespace rung

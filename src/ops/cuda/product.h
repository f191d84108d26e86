// Large products by cuBLASLt, by trial: of the library's kernels for a shape that give the same
// bits, the one that is fastest on this device. What a product gives does not depend on the trial.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung::cuda {

// Whether a product is so large that it gains by a choice (3e10 operations in bf16, 1e9 in FP8),
// and lies as `product` wants it.
bool fits_product(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b);

// Whether `product` takes them, of any size.
bool fits_library(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b);

// a [P, m, k] and b [P, k, n], bf16 in rows or columns, or FP8 with a in rows and b in columns (as
// the units want them), from 16-byte boundaries; out [P, m, n] in rows, bf16 or fp32.
// out = alpha a b (+ out when `accumulate`). fast_sums: FP8 units may add up in less than fp32.
void product(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, double alpha,
             bool accumulate, bool fast_sums = false);

// The same with `onto` [P, m, n], as `out` lies: out = alpha a b + beta onto, in one rounding.
// Products of any size.
bool fits_product_onto(const at::Tensor& out, const at::Tensor& onto, const at::Tensor& a,
                       const at::Tensor& b);
void product_onto(const at::Tensor& out, const at::Tensor& onto, double beta, const at::Tensor& a,
                  const at::Tensor& b, double alpha, bool fast_sums = false);

}  // namespace rung::cuda

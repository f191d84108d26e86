// Tensors' side of few_rows_kernels.h.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung::cuda {

// Whether gradient [P, out, in] (fp32) += factor dy^T x has the kernel for few rows; dy [P, rows,
// out] and x [P, rows, in].
bool fits_few_rows(const at::Tensor& gradient, const at::Tensor& dy, const at::Tensor& x);
void sum_few_rows(const at::Tensor& gradient, const at::Tensor& dy, const at::Tensor& x,
                  double factor);

}  // namespace rung::cuda

// Factors and products on FP8 units, for the ops that multiply there (fp8_linear.cpp, fp8_mlp.cpp).
#pragma once
#include <ATen/core/Tensor.h>

#include "core/quantiser.h"
#include "ops/cuda/kernels.h"
#include "ops/weight.h"

namespace rung::cuda {

// Codes of a factor [P, R, C], as it lies and [P, C, R]: units read along the axis that is summed.
struct Fp8Codes {
  at::Tensor rows, columns;
};

// Room for the codes of [members, rows, columns]; without `both`, by rows alone.
Fp8Codes fp8_codes(const at::Tensor& like, int64_t members, int64_t rows, int64_t columns,
                   bool e5m2, bool both = true);
// Of factor x, x [P, R, C], each member's matrix without gaps.
Fp8Codes fp8_cast(const at::Tensor& x, const Quantiser& q, bool e5m2, bool both = true,
                  double factor = 1.0);
// The same by rows alone, into codes that are there.
void fp8_cast_into(const at::Tensor& codes, const at::Tensor& x, const Quantiser& q);
// Of a map's matrix: the codes that the step keeps, or made of its value.
Fp8Codes fp8_codes_of(const Weight& weight, bool both);
// What divides a product of codes.
inline double fp8_scale(const Quantiser& a, const Quantiser& b) {
  return a.scale * b.scale;
}

// factor a b^T of each member, a [P, M, K], b [P, N, K], in bf16. fast_sums: in the units' own way
// of adding up, else in fp32.
at::Tensor fp8_product(const at::Tensor& a, const at::Tensor& b, double factor, bool fast_sums);
// y += factor a b^T, y [P, M, N] in fp32.
void fp8_add(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, double factor);

}  // namespace rung::cuda

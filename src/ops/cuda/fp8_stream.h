// What ops on FP8 units that take the residual stream along share: its norm as codes, and products
// that add to it.
#pragma once
#include <optional>
#include <utility>

#include "ops/cuda/fp8.h"
#include "ops/norm.h"

namespace rung::cuda {

struct NormedCodes {
  Fp8Codes codes;
  at::Tensor rstd;
};
// Codes of norm(h), h [P, rows, width], without gain or mean; rows and width multiples of 16.
NormedCodes fp8_norm(const at::Tensor& h, const NormOptions& options, const Quantiser& q,
                     bool both);

// A sum h = skip x + branch f of the stream behind which such a norm stands; the gradient that
// comes to it from elsewhere is multiplied by dh_factor.
struct Fp8Norm {
  at::Tensor h, rstd;
  NormOptions options;
  double dh_factor = 1.0, skip = 1.0;
};
// The gradient of x from those of the norm and of h (may be undefined).
at::Tensor fp8_norm_gradient(const Fp8Norm& norm, const at::Tensor& dy, const at::Tensor& dh);
// And `branch` times the sum's as codes.
std::pair<at::Tensor, Fp8Codes> fp8_norm_gradient(const Fp8Norm& norm, const at::Tensor& dy,
                                                  const at::Tensor& dh, double branch,
                                                  const Quantiser& q);

// share onto + factor a b^T in the units' own way of adding up, in bf16.
at::Tensor fp8_product_onto(const at::Tensor& onto, double share, const at::Tensor& a,
                            const at::Tensor& b, double factor);

}  // namespace rung::cuda

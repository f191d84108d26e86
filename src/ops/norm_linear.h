// A norm and the map behind it: one op, so that narrow models need not write normalised rows.
#pragma once
#include <utility>

#include "ops/norm.h"
#include "ops/weight.h"

namespace rung {

// Whether norm_linear has a kernel for these.
bool fits_norm_linear(const at::Tensor& x, const Weight& weight, const NormOptions& options);
// {x, A weight norm(x)}, the norm without gain; gradients of both reach x in one pass. x
// [P, B, T, D], weight [P, out, D].
std::pair<at::Tensor, at::Tensor> norm_linear(const at::Tensor& x, const Weight& weight,
                                              const NormOptions& options);
// Its plain twin: the two ops.
std::pair<at::Tensor, at::Tensor> norm_linear_plain(const at::Tensor& x, const Weight& weight,
                                                    const NormOptions& options);

}  // namespace rung

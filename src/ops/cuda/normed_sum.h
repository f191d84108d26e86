// What ops that end in a norm of the stream share: how its backward pass goes on from there.
#pragma once
#include <utility>

#include "ops/norm.h"

namespace rung::cuda {

// A sum of the stream, and what its norm kept.
struct NormedSum {
  at::Tensor h, mean, rstd;
};

// The norm of `h`, or of skip h + branch f, which becomes sum.h; sum.h is h where f is undefined.
at::Tensor normed_sum(NormedSum& sum, const at::Tensor& h, const at::Tensor& f, const Weight& gain,
                      const NormOptions& options);

// Gradients of x and f, of which sum.h = skip x + branch f, from those of the norm and of sum.h
// (times dh_factor; may be undefined); the second is undefined where it is the first.
std::pair<at::Tensor, at::Tensor> normed_sum_gradients(const NormedSum& sum, const Weight& gain,
                                                       const NormOptions& options,
                                                       const at::Tensor& dy, const at::Tensor& dh,
                                                       double dh_factor, double skip,
                                                       double branch);

}  // namespace rung::cuda

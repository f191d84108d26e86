// The channel-mixing branch, two matrices with an activation between them: one op, so that narrow
// models can keep the hidden units on chip.
#pragma once
#include "ops/activation.h"
#include "ops/norm.h"
#include "ops/weight.h"

namespace rung {

struct Mlp {
  Activation kind = Activation::swiglu;
  ActivationOptions activation;
  Weight first, second;  // [P, 2 F (gated) or F, D], [P, D, F]
};

// y = second activation(first x). x [P, B, T, D].
at::Tensor mlp(const at::Tensor& x, const Mlp& m);
// Its plain twin: the three ops.
at::Tensor mlp_plain(const at::Tensor& x, const Mlp& m);

// Whether mlp_step has a kernel for these; the norm has no gain.
bool fits_mlp_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                   const ResidualStep& step);
// Whether it takes a map of f along at no cost of its own.
bool fits_mapped_step(const at::Tensor& f, const Weight& map);
// The stream's step through the branch. f may be undefined. The plain twin takes each next map
// or norm along.
Stepped mlp_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m, const ResidualStep& step);
Stepped mlp_step_plain(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                       const ResidualStep& step);

}  // namespace rung

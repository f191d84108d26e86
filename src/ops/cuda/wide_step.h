// The residual stream's step through an ffn where no kernel takes all of it on chip: maps add what
// they give to the stream themselves (product.h), so that no branch is written and read for it.
#pragma once
#include <utility>

#include "ops/mlp.h"

namespace rung::cuda {

// Whether a map of f [P, B, T, in] can add to a stream in bf16.
bool fits_map_onto(const at::Tensor& f, const Weight& map);

// h = skip x + branch A f W^T and its norm without gain; {h, norm(h)}. The gradient that comes to h
// is multiplied by `dh_factor` first.
std::pair<at::Tensor, at::Tensor> map_add_norm(const at::Tensor& x, const at::Tensor& f,
                                               const Weight& map, const NormOptions& options,
                                               double dh_factor = 1.0);

// How the last map of a step ends it.
struct StepEnd {
  double skip = 1.0, branch = 1.0, branch_gradient = 1.0;
};
// skip h + branch A f W^T. The gradient of h is that of the sum as it comes: who made h brings skip
// into it.
at::Tensor map_add(const at::Tensor& h, const at::Tensor& f, const Weight& map, const StepEnd& end);

// mlp_step of these, at width 256 by streamed_mlp_step; bf16, no taps, formats or ternary maps.
bool fits_wide_step(const at::Tensor& x, const Mlp& m, const ResidualStep& step);
Stepped wide_mlp_step(const at::Tensor& x, const at::Tensor& f, const Mlp& m,
                      const ResidualStep& step);

}  // namespace rung::cuda

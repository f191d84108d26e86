// Residual addition and normalisation in one pass.
#pragma once
#include <utility>

#include "ops/weight.h"

namespace rung {

struct NormOptions {
  double epsilon = 1e-6;
  bool center = false;  // LayerNorm; else RMSNorm
  double skip = 1.0;    // h = skip x + branch f
  double branch = 1.0;
  // df = branch_gradient dh (branch, or 1 when unit scaling delays it to the split).
  double branch_gradient = 1.0;
  // On the gradient through the norm (the delayed factor of the next branch).
  double input_gradient = 1.0;
};

// y = norm(x) * gain. x [P, B, T, D], gain [P, D] (value may be undefined).
at::Tensor norm(const at::Tensor& x, const Weight& gain, const NormOptions& options);
// norm over each of `groups` parts of the last axis, then times the gain over all of it.
at::Tensor group_norm(const at::Tensor& x, int64_t groups, const Weight& gain,
                      const NormOptions& options);
// h = skip x + branch f, or x where f is undefined, y = norm(h) * gain; returns {h, y}.
std::pair<at::Tensor, at::Tensor> add_norm(const at::Tensor& x, const at::Tensor& f,
                                           const Weight& gain, const NormOptions& options);
// The h of add_norm alone.
at::Tensor add_branch(const at::Tensor& x, const at::Tensor& f, const NormOptions& options);

// A branch's place in a residual stream: h = norm.skip x + norm.branch f, or x where f is
// undefined, then skip h + branch b(norm(h)).
struct ResidualStep {
  NormOptions norm;
  double skip = 1.0;
  double branch = 1.0;
  double branch_gradient = 1.0;  // factor on the gradient of b's output
  Weight map = {};               // f is still to be multiplied by it; undefined: it is not
  // A map of the norm of what comes out, without gain, which the op may take along; undefined:
  // none.
  Weight next = {};
  NormOptions next_norm = {};
  bool next_alone = false;  // `next` is not there, and the norm itself may be taken along
};
// The stream behind a step, and next norm(stream) or norm(stream), undefined where that was not
// taken along.
struct Stepped {
  at::Tensor stream, mapped = {};
};

// Plain twins, from recorded tensor operations.
at::Tensor norm_plain(const at::Tensor& x, const Weight& gain, const NormOptions& options);
std::pair<at::Tensor, at::Tensor> add_norm_plain(const at::Tensor& x, const at::Tensor& f,
                                                 const Weight& gain, const NormOptions& options);

// The identity forward; the gradient is multiplied by `factor`.
at::Tensor scale_gradient(const at::Tensor& x, double factor);

}  // namespace rung

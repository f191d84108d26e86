#include "ops/mlp.h"

#include "ops/cuda/fused.h"
#include "ops/cuda/wide_step.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/norm_linear.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

Tensor mlp_plain(const Tensor& x, const Mlp& m) {
  return linear(activation(m.kind, linear(x, m.first), m.activation), m.second);
}

Tensor mlp(const Tensor& x, const Mlp& m) {
  const Span span("rung::ffn");
  if constexpr (with_cuda)
    if (fused_on_cuda(x)) {
      if (cuda::fits_mlp(x, m)) return cuda::mlp(x, m);
      if (cuda::fits_fp8_mlp(x, m)) return cuda::fp8_mlp(x, m);
    }
  return mlp_plain(x, m);
}

Stepped mlp_step_plain(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  const bool mapped = f.defined() && step.map.value.defined();
  const auto [h, u] = add_norm(x, mapped ? linear(f, step.map) : f, {}, step.norm);
  const Tensor y = scale_gradient(mlp_plain(u, m), step.branch_gradient / step.branch);
  const Tensor out = h * step.skip + y * step.branch;
  if (step.next_alone) return {out, norm(out, {}, step.next_norm)};
  if (!step.next.value.defined()) return {out};
  const auto [stream, next] = norm_linear_plain(out, step.next, step.next_norm);
  return {stream, next};
}

namespace {

// Whether a kernel keeps the hidden units on chip.
bool is_narrow_step(const Tensor& x, const Mlp& m, const ResidualStep& step) {
  if constexpr (with_cuda)
    return !step.norm.center && (cuda::fits_mlp(x, m) || cuda::fits_sliced_mlp(x, m));
  return false;
}

}  // namespace

bool fits_mlp_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  if constexpr (with_cuda)
    return fused_on_cuda(x) && (is_narrow_step(x, m, step) || cuda::fits_wide_step(x, m, step) ||
                                cuda::fits_fp8_step(x, f, m, step));
  return false;
}

bool fits_mapped_step(const Tensor& f, const Weight& map) {
  if constexpr (with_cuda) return cuda::fits_map_onto(f, map);
  return false;
}

Stepped mlp_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  const Span span("rung::ffn");
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && is_narrow_step(x, m, step)) {
      if (!step.map.value.defined() || cuda::fits_map(x, step.map))
        return cuda::fits_mlp(x, m) ? Stepped{cuda::mlp_step(x, f, m, step)}
                                    : cuda::sliced_mlp_step(x, f, m, step);
      ResidualStep mapped = step;
      mapped.map = {};
      return mlp_step(x, linear(f, step.map), m, mapped);
    }
  if constexpr (with_cuda)
    if (fused_on_cuda(x)) {
      if (cuda::fits_wide_step(x, m, step)) return cuda::wide_mlp_step(x, f, m, step);
      if (cuda::fits_fp8_step(x, f, m, step)) return {cuda::fp8_mlp_step(x, f, m, step)};
    }
  return mlp_step_plain(x, f, m, step);
}

}  // namespace rung

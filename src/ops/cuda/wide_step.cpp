#ifdef RUNG_CUDA
#include "ops/cuda/wide_step.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/normed_sum.h"
#include "ops/cuda/product.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"
#include "ops/dispatch.h"
#include "ops/linear.h"

namespace rung::cuda {

using at::Tensor;

namespace {

Tensor added_by_map(const Tensor& x, const Tensor& f, const Weight& map, double skip,
                    double branch) {
  const Tensor sum = at::empty_like(x);
  product_onto(sum.flatten(1, 2), x.flatten(1, 2), skip, f.flatten(1, 2),
               map.value.detach().transpose(1, 2), branch * map.A);
  return sum;
}

// The gradient of what a map read, from `factor` times that of what it gave; the matrix's is
// summed.
Tensor map_gradient(const Weight& map, const Tensor& f, const Tensor& dy, double factor,
                    bool needed) {
  add_weight_gradient(map, dy.flatten(1, 2), f.flatten(1, 2), factor);
  if (!needed) return {};
  const Tensor df = at::empty_like(f);
  matmul_into(df.flatten(1, 2), dy.flatten(1, 2), map.value.detach(), map.A_input * factor, false);
  return df;
}

}  // namespace

bool fits_map_onto(const Tensor& f, const Weight& map) {
  return fused_on_cuda(f) && f.scalar_type() == at::kBFloat16 && map.is_plain() &&
         is_packed_map(map) && map.value.size(2) % 8 == 0 && map.value.size(1) % 8 == 0;
}

std::pair<Tensor, Tensor> map_add_norm(const Tensor& x, const Tensor& f, const Weight& map,
                                       const NormOptions& o, double dh_factor) {
  const Tensor input = f.detach().contiguous();
  NormedSum sum;
  Tensor h, y;
  {
    const at::NoGradGuard off;
    y = normed_sum(sum, added_by_map(x.detach().contiguous(), input, map, o.skip, o.branch), {}, {},
                   o);
    h = sum.h.detach();
  }
  record({h, y}, {x, f}, [=, needed = f.requires_grad()](const std::vector<Tensor>& g) {
    const Tensor dh = g[0].defined() ? g[0].contiguous() : Tensor();
    // Where one is a multiple of the other, the products bring the factor.
    const bool one = o.skip != 0.0;
    const auto [dx, df] = normed_sum_gradients(sum, {}, o, g[1].contiguous(), dh, dh_factor, o.skip,
                                               one ? o.skip : o.branch_gradient);
    const double factor = one ? o.branch_gradient / o.skip : 1.0;
    return std::vector<Tensor>{dx,
                               map_gradient(map, input, df.defined() ? df : dx, factor, needed)};
  });
  return {h, y};
}

Tensor map_add(const Tensor& h, const Tensor& f, const Weight& map, const StepEnd& end) {
  const Tensor input = f.detach().contiguous();
  Tensor sum;
  {
    const at::NoGradGuard off;
    sum = added_by_map(h.detach().contiguous(), input, map, end.skip, end.branch);
  }
  record({sum}, {h, f}, [=, needed = f.requires_grad()](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    return std::vector<Tensor>{dy, map_gradient(map, input, dy, end.branch_gradient, needed)};
  });
  return sum;
}

bool fits_wide_step(const Tensor& x, const Mlp& m, const ResidualStep& step) {
  return fits_norm(x, {}) && fits_map_onto(x, m.first) && fits_map_onto(x, m.second) &&
         (!step.map.value.defined() || fits_map_onto(x, step.map));
}

Stepped wide_mlp_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  if (fits_streamed_step(x, f, m, step)) return streamed_mlp_step(x, f, m, step);
  const bool mapped = f.defined() && step.map.value.defined();
  const auto [h, u] = mapped ? map_add_norm(x, f, step.map, step.norm, step.skip)
                             : add_norm(x, f, {}, step.norm, step.skip);
  ActivationOptions curve = m.activation;
  curve.in_place = true;  // nothing but the curve reads what the first map gives
  const Tensor inner = rung::activation(m.kind, linear(u, m.first), curve);
  return {map_add(h, inner, m.second, {step.skip, step.branch, step.branch_gradient})};
}

}  // namespace rung::cuda
#endif

#ifdef RUNG_CUDA
#include "ops/cuda/streamed_mlp.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/mlp_shape.h"
#include "ops/cuda/narrow.h"
#include "ops/cuda/streamed_rows.h"
#include "ops/cuda/tensor.h"
#include "ops/cuda/wide_step.h"
#include "ops/custom.h"
#include "ops/linear.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// `skip` times the gradient of h; the matrices' gradients are summed.
Tensor gradient_of_streamed(const Tensor& h, const Tensor& dout, const Mlp& m,
                            const ResidualStep& step, double skip) {
  const MlpShape shape = mlp_shape_of(h, m);
  const auto rows = [&](const Weight& wanted, int64_t width) {
    return wanted.gradient.defined() ? at::empty({shape.members, shape.rows, width}, h.options())
                                     : Tensor();
  };
  const Tensor dx = at::empty_like(h);
  const Tensor unit = rows(m.first, shape.width), units = rows(m.first, m.first.value.size(1)),
               hidden = rows(m.second, shape.inner);
  const MlpAroundGradient around{.epsilon = static_cast<float>(step.norm.epsilon),
                                 .input_gradient = static_cast<float>(step.norm.input_gradient),
                                 .out_skip = static_cast<float>(step.skip),
                                 .skip = static_cast<float>(skip),
                                 .branch = 0.0f,
                                 .df = nullptr};
  streamed_mlp_backward(shape,
                        {.h = data(h),
                         .first = data(m.first.value),
                         .second = data(m.second.value),
                         .dout = data(dout),
                         .first_factor = static_cast<float>(m.first.A),
                         .activation = static_cast<float>(m.activation.forward),
                         .dhidden = static_cast<float>(m.second.A_input * m.activation.backward *
                                                       step.branch_gradient),
                         .dinput = static_cast<float>(m.first.A_input),
                         .block = &around,
                         .dx = writable(dx),
                         .unit = writable(unit),
                         .units = writable(units),
                         .hidden = writable(hidden)},
                        stream());
  add_weight_gradient(m.first, units, unit);
  add_weight_gradient(m.second, dout.view({shape.members, shape.rows, shape.width}), hidden,
                      step.branch_gradient);
  return dx;
}

}  // namespace

bool fits_streamed_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  return fits_streamed_mlp(x.size(3), m.second.value.size(2)) && is_hopper() &&
         m.kind != Activation::reglu2 && !step.norm.center && step.norm.skip != 0.0 &&
         (!f.defined() || step.map.value.defined()) && fits_wide_step(x, m, step) &&
         fits_narrow(x, m.first) && fits_narrow(x, m.second) &&
         fills_device(x.size(0), x.size(1) * x.size(2), processors());
}

Tensor streamed_mlp_step(const Tensor& x, const Tensor& f, const Mlp& m, const ResidualStep& step) {
  const Tensor branch = f.defined() ? f.detach().contiguous() : Tensor();
  Tensor h = x.detach().contiguous();
  if (f.defined()) {
    const at::NoGradGuard off;
    h = added_by_map(h, branch, step.map, step.norm.skip, step.norm.branch);
  }
  Tensor out = at::empty_like(h);
  const MlpAround around{.epsilon = static_cast<float>(step.norm.epsilon),
                         .f = nullptr,
                         .map = nullptr,
                         .map_stride = 0,
                         .map_factor = 1.0f,
                         .skip = 1.0f,
                         .branch = 0.0f,
                         .h = nullptr,
                         .out_skip = static_cast<float>(step.skip)};
  streamed_mlp_forward(mlp_shape_of(h, m),
                       {.x = data(h),
                        .first = data(m.first.value),
                        .second = data(m.second.value),
                        .first_factor = static_cast<float>(m.first.A),
                        .activation = static_cast<float>(m.activation.forward),
                        .second_factor = static_cast<float>(m.second.A * step.branch),
                        .out = writable(out),
                        .block = &around},
                       stream());
  record({out}, {x, f},
         [=, needed = f.defined() && f.requires_grad()](const std::vector<Tensor>& g) {
           const Tensor dout = g[0].contiguous();
           if (!branch.defined())
             return std::vector<Tensor>{gradient_of_streamed(h, dout, m, step, 1.0), Tensor()};
           const Tensor dx = gradient_of_streamed(h, dout, m, step, step.norm.skip);
           const double factor = step.norm.branch_gradient / step.norm.skip;
           return std::vector<Tensor>{dx, map_gradient(step.map, branch, dx, factor, needed)};
         });
  return out;
}

}  // namespace rung::cuda
#endif

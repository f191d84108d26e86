#ifdef RUNG_CUDA
#include "ops/cuda/norm_linear.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/beside.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/hopper/few_rows.h"
#include "ops/cuda/hopper/resident_norm_linear.h"
#include "ops/cuda/narrow.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

NormLinearShape norm_linear_shape_of(const Tensor& x, const Weight& weight, const NormOptions& o) {
  return {.members = x.size(0),
          .rows = x.size(1) * x.size(2),
          .width = x.size(3),
          .out = weight.value.size(1),
          .stride = weight.value.stride(0),
          .epsilon = static_cast<float>(o.epsilon)};
}

bool is_resident(const NormLinearShape& shape) {
  return is_hopper() && fits_resident_norm_linear(shape);
}

Tensor wide_gradient_of(const Tensor& x, const Weight& weight, const NormOptions& o,
                        const Tensor& dy, const Tensor& dh) {
  const NormLinearShape shape = norm_linear_shape_of(x, weight, o);
  const bool wanted = weight.gradient.defined();
  const Tensor dx = at::empty_like(x);
  const Tensor unit =
      wanted ? at::empty({shape.members, shape.rows, shape.width}, x.options()) : Tensor();
  wide_norm_linear_backward(shape, data(x), data(weight.value),
                            {.dy = data(dy),
                             .dh = data(dh),
                             .input_factor = static_cast<float>(weight.A_input * o.input_gradient),
                             .dx = writable(dx),
                             .unit = writable(unit)},
                            stream());
  add_weight_gradients({{weight, dy.view({shape.members, shape.rows, shape.out}), unit}});
  return dx;
}

// The gradient of x from those of both outputs (dh may be undefined); adds the weight's.
Tensor norm_linear_gradient(const Tensor& x, const Weight& weight, const NormOptions& o,
                            const Tensor& dy, const Tensor& dh) {
  const NormLinearShape shape = norm_linear_shape_of(x, weight, o);
  if (!fits_norm_linear(shape.width, shape.out)) return wide_gradient_of(x, weight, o, dy, dh);
  const bool wanted = weight.gradient.defined();
  Tensor dx = at::empty_like(x), partial;
  if (wanted)
    partial = at::empty({shape.members, norm_linear_blocks(shape), shape.out, shape.width},
                        x.options().dtype(at::kFloat));
  const NormLinearGradient gradient{
      .dy = data(dy),
      .dh = data(dh),
      .input_factor = static_cast<float>(weight.A_input * o.input_gradient),
      .matrix_factor = static_cast<float>(weight.A_weight),
      .dx = writable(dx),
      .dmatrix = floats(weight.gradient),
      .dmatrix_stride = wanted ? weight.gradient.stride(0) : 0,
      .partial = floats(partial)};
  (is_resident(shape) ? resident_norm_linear_backward : norm_linear_backward)(
      shape, data(x), data(weight.value), gradient, stream());
  if (wanted)
    beside({partial}, weight.gradient, [&] { norm_linear_join(shape, gradient, stream()); });
  return dx;
}

}  // namespace

bool fits_norm_linear(const Tensor& x, const Weight& weight) {
  const int64_t width = x.size(3), out = weight.value.size(1);
  return fits_narrow(x, weight) &&
         (fits_norm_linear(width, out) || (is_hopper() && fits_wide_norm_linear(width, out)));
}

std::pair<Tensor, Tensor> norm_linear(const Tensor& x, const Weight& weight, const NormOptions& o) {
  const Tensor input = x.detach().contiguous();
  Tensor h = input.detach();
  Tensor y = at::empty({x.size(0), x.size(1), x.size(2), weight.value.size(1)}, input.options());
  const NormLinearShape shape = norm_linear_shape_of(input, weight, o);
  (is_resident(shape)                         ? resident_norm_linear_forward
   : fits_norm_linear(shape.width, shape.out) ? norm_linear_forward
                                              : wide_norm_linear_forward)(
      shape, data(input), data(weight.value), static_cast<float>(weight.A), writable(y), stream());
  record({h, y}, {x}, [=](const std::vector<Tensor>& g) {
    const Tensor dh = g[0].defined() ? g[0].contiguous() : Tensor();
    if (!g[1].defined()) return std::vector<Tensor>{dh};
    return std::vector<Tensor>{norm_linear_gradient(input, weight, o, g[1].contiguous(), dh)};
  });
  return {h, y};
}

}  // namespace rung::cuda
#endif

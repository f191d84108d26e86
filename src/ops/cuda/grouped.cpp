#ifdef RUNG_CUDA
#include "ops/grouped.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

namespace {

// Elements from each tensor to the next, or 0 where they do not lie evenly (or there is one).
template <class Part>
int64_t step_of(std::span<const Weight> weights, Part&& part) {
  int64_t step = 0;
  for (size_t i = 1; i < weights.size(); ++i) {
    const Tensor &before = part(weights[i - 1]), &here = part(weights[i]);
    const int64_t bytes = static_cast<const std::byte*>(here.const_data_ptr()) -
                          static_cast<const std::byte*>(before.const_data_ptr());
    const int64_t own = bytes / static_cast<int64_t>(here.element_size());
    if (i > 1 && own != step) return 0;
    step = own;
  }
  return step;
}

const Tensor& value_of(const Weight& w) {
  return w.value;
}
const Tensor& gradient_of(const Weight& w) {
  return w.gradient;
}

}  // namespace

bool fits_grouped(const Tensor& x, std::span<const Weight> weights) {
  if (!(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16)) return false;
  if (weights.size() == 1) return true;
  for (const Weight& w : weights)
    if (w.A != weights[0].A || w.A_input != weights[0].A_input ||
        w.A_weight != weights[0].A_weight || w.gradient.defined() != weights[0].gradient.defined())
      return false;
  if (weights[0].gradient.defined() && step_of(weights, gradient_of) == 0) return false;
  return step_of(weights, value_of) != 0;
}

Tensor grouped_linear(const Tensor& x, std::span<const Weight> weights, const Groups& groups) {
  const Weight first = weights[0];
  const GroupedShape shape{x.size(0),
                           x.size(1),
                           static_cast<int64_t>(weights.size()),
                           first.value.size(2),
                           first.value.size(1),
                           step_of(weights, value_of),
                           first.value.stride(0)};
  GroupedShape to = shape;
  if (first.gradient.defined()) {
    to.group_stride = step_of(weights, gradient_of);
    to.member_stride = first.gradient.stride(0);
  }
  const Tensor ends = groups.ends;
  Tensor input, y;
  {
    at::NoGradGuard off;
    input = x.detach().contiguous();
    y = at::empty({shape.members, shape.rows, shape.out}, input.options());
    grouped_forward(type_of(input), shape, ends.const_data_ptr<int>(), data(input),
                    data(first.value), static_cast<float>(first.A), writable(y), stream());
  }
  record({y}, {x}, [=, needs = x.requires_grad()](const std::vector<Tensor>& g) {
    const Tensor dy = g[0].contiguous();
    if (first.gradient.defined())
      grouped_weight_gradient(type_of(dy), to, ends.const_data_ptr<int>(), data(input), data(dy),
                              static_cast<float>(first.A_weight), floats(first.gradient), stream());
    if (!needs) return std::vector<Tensor>{Tensor()};
    Tensor dx = at::empty_like(input);
    grouped_input_gradient(type_of(dy), shape, ends.const_data_ptr<int>(), data(dy),
                           data(first.value), static_cast<float>(first.A_input), writable(dx),
                           stream());
    return std::vector<Tensor>{dx};
  });
  return y;
}

}  // namespace rung::cuda
#endif

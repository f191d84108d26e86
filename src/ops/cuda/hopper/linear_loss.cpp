#ifdef RUNG_CUDA
#include "ops/cuda/hopper/linear_loss.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "ops/cuda/beside.h"
#include "ops/cuda/blank.h"
#include "ops/cuda/device.h"
#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

using at::Tensor;

bool without_logits(int64_t width) {
  return is_hopper() && width % 8 == 0 && width <= widest_linear_loss;
}

bool fits_linear_cross_entropy(const Tensor& x, const Weight& weight, const LossOptions& o) {
  return x.scalar_type() == at::kBFloat16 && x.size(0) < 65536 && weight.A * o.logit > 0.0 &&
         is_packed_half(weight) && without_logits(x.size(2));
}

std::pair<Tensor, Tensor> linear_cross_entropy(const Tensor& x, const Weight& weight,
                                               const Tensor& targets, const LossOptions& o,
                                               bool wanted) {
  const Tensor index = targets.contiguous();
  LinearLoss shape{.members = x.size(0),
                   .rows = x.size(1),
                   .vocabulary = o.vocabulary ? o.vocabulary : weight.value.size(1),
                   .width = x.size(2),
                   .weight_stride = weight.value.stride(0),
                   .forward = static_cast<float>(weight.A * o.logit),
                   .cap = static_cast<float>(o.cap)};
  plan_linear_loss(shape, is_accompanied());
  const auto options = x.options().dtype(at::kFloat);
  const Tensor losses = at::empty({shape.members, shape.rows}, options);
  const Tensor lse = at::empty_like(losses), space = at::empty({shape.input_floats()}, options);
  const Tensor dx = wanted ? at::empty_like(x) : Tensor();
  const int64_t* const ids = index.const_data_ptr<int64_t>();
  const double gradient = o.logit * o.gradient;
  linear_loss_input(shape, data(x), data(weight.value), ids,
                    static_cast<float>(weight.A_input * gradient), floats(space), floats(losses),
                    floats(lse), writable(dx), stream());
  if (wanted && weight.gradient.defined()) {
    const bool adds = !writes_over(weight.gradient.narrow(1, 0, shape.vocabulary));
    beside({x, index, lse}, weight.gradient, [&] {
      const Tensor parts = at::empty({shape.weight_floats()}, options);
      linear_loss_weight(shape, data(x), data(weight.value), ids, floats(lse),
                         static_cast<float>(weight.A_weight * gradient), floats(parts),
                         floats(weight.gradient), weight.gradient.stride(0), adds, stream());
    });
  }
  return {losses, dx};
}

}  // namespace rung::cuda
#endif

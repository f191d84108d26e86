#ifdef RUNG_CUDA
#include "ops/cuda/hopper/powers_loss.h"

#include <ATen/ops/empty.h>

#include "ops/cuda/hopper/loss_chunks.h"
#include "ops/cuda/tensor.h"
#include "ops/linear.h"

namespace rung::cuda {

using at::Tensor;

namespace {

struct PowersChunk : LossOperands {
  PowersLoss shape() const {
    PowersLoss shape{.members = x.size(0),
                     .rows = x.size(1),
                     .vocabulary = vocabulary,
                     .width = x.size(2),
                     .row_stride = x.stride(0),
                     .weight_stride = weight.value.stride(0),
                     .target_stride = targets.stride(0),
                     .loss_stride = losses.stride(0),
                     .forward = static_cast<float>(weight.A * options.logit)};
    plan_powers_loss(shape);
    return shape;
  }

  void run(bool adds) const {
    const PowersLoss s = shape();
    const Tensor totals = at::empty({s.members, s.rows, s.parts}, losses.options()),
                 hits = at::empty({s.members, s.rows}, losses.options());
    const double gradient = options.logit * options.gradient;
    Tensor q, share, scale;
    if (dx.defined()) {
      q = at::empty({s.members, s.rows, vocabulary}, x.options());
      share = at::empty({s.members, s.rows, s.width}, x.options());
      scale = at::empty({s.members, s.rows}, losses.options());
    }
    const PowersSums sums{.x = data(x),
                          .weight = data(weight.value),
                          .targets = targets.const_data_ptr<int64_t>(),
                          .q = writable(q),
                          .totals = floats(totals),
                          .hits = floats(hits)};
    powers_product(s, sums, stream());
    powers_join(s, sums,
                {.factor = static_cast<float>(weight.A_input * gradient),
                 .loss = floats(losses),
                 .scale = floats(scale),
                 .share = writable(share)},
                stream());
    if (!dx.defined()) return;
    if (weight.gradient.defined())
      matmul_into(sum(), q.transpose(1, 2), share, weight.A_weight * gradient, adds);
    matmul_into(dx, q, weight.value.detach().narrow(1, 0, vocabulary), 1.0, false);
    powers_scale(s, floats(scale), writable(dx), stream());
  }
};

}  // namespace

bool fits_powers_cross_entropy(const Tensor& x, const Weight& weight, const LossOptions& o) {
  return fits_powers_loss(x.size(2), vocabulary_of(weight, o)) &&
         takes_exponentials(x, weight, o) && is_packed_map(weight);
}

std::pair<Tensor, Tensor> powers_cross_entropy(const Tensor& x, const Weight& weight,
                                               const Tensor& targets, const LossOptions& o,
                                               bool wanted) {
  return cross_entropy_in_chunks<PowersChunk>(x, weight, targets, o, wanted);
}

}  // namespace rung::cuda
#endif

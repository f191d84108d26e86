#include "model/readout.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>

#include "ops/cross_entropy.h"

namespace rung {

using at::Tensor;

Tensor readout_losses(const Decoder& d, std::span<const Weight> weights, const Tensor& hidden,
                      const Tensor& targets, double gradient) {
  return linear_cross_entropy(
      hidden, weights[d.readout], targets,
      {.logit = d.block.loss_logit, .gradient = gradient, .cap = d.model.logit_cap});
}

Tensor readout_logits(const Decoder& d, std::span<const Weight> weights, const Tensor& hidden) {
  const at::NoGradGuard off;
  const Weight& readout = weights[d.readout];
  const Tensor& y = hidden;
  const Tensor flat = y.reshape({y.size(0), y.size(1) * y.size(2), y.size(3)});
  Tensor logits =
      at::matmul(flat, readout.value.transpose(1, 2)) * (readout.A * d.block.loss_logit);
  if (d.model.logit_cap > 0.0) logits.div_(d.model.logit_cap).tanh_().mul_(d.model.logit_cap);
  return logits.view({y.size(0), y.size(1), y.size(2), d.vocabulary});
}

}  // namespace rung

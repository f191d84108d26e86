// What optimizers of a few tensor expressions share: a walk over the arena's tensors in the
// masters' own type, on the CPU.
#pragma once
#include "optim/optimizer.h"

namespace rung {

// w -= lr C direction + decay w for every tensor. direction(part, gradient, factors) gets a
// function that cuts a buffer of the arena's layout to the tensor, [P, size], and the clipped
// gradient.
template <class Direction>
void step_tensors(const StepInput& in, Direction&& direction) {
  const at::Tensor lr = hyper_column(in, hyper_lr), decay = hyper_column(in, hyper_decay),
                   scale = hyper_column(in, hyper_scale);
  for (size_t i = 0; i < in.layout.tensors.size(); ++i) {
    const Factors& f = in.layout.factors[i];
    const auto part = [&](const at::Tensor& t) { return flat_part(in.layout, t, i); };
    at::Tensor w = part(in.weights);
    const at::Tensor u = direction(part, part(in.gradient) * scale, f);
    w.sub_(u * (lr * f.C) + w * (decay * f.decay));
  }
}

}  // namespace rung

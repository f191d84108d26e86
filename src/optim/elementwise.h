// What optimizers of a few tensor expressions share: a walk over the arena's tensors in the
// masters' own type.
#pragma once
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>

#include "optim/moments.h"
#include "optim/optimizer.h"

namespace rung {

// Cuts a buffer of the arena's layout to one tensor, [P, size].
struct ArenaPart {
  const StepInput& in;
  size_t index;
  at::Tensor operator()(const at::Tensor& t) const { return flat_part(in.layout, t, index); }
};

// lr C direction + decay w of one tensor, [P, size]. direction(part, gradient, factors) gets what
// cuts to the tensor, and the clipped gradient.
template <class Direction>
at::Tensor update_of(const StepInput& in, size_t index, Direction&& direction) {
  const Factors& f = in.layout.factors[index];
  const ArenaPart part{in, index};
  const at::Tensor u = direction(part, part(in.gradient) * hyper_column(in, hyper_scale), f);
  return u * (hyper_column(in, hyper_lr) * f.C) +
         part(in.weights) * (hyper_column(in, hyper_decay) * f.decay);
}

// w -= update_of for every tensor.
template <class Direction>
void step_tensors(const StepInput& in, Direction&& direction) {
  for (size_t i = 0; i < in.layout.tensors.size(); ++i)
    flat_part(in.layout, in.weights, i).sub_(update_of(in, i, direction));
}

// step() as CUDA's graphs want it: members that are not alive keep weights and state, whatever
// their gradients are, and the copy for compute follows.
template <class Step>
void step_alive(const StepInput& in, Step&& step) {
  std::vector<std::pair<at::Tensor, at::Tensor>> kept;  // a buffer and what it held
  if (in.alive.defined()) {
    kept.emplace_back(in.weights, in.weights.clone());
    for (const auto& [name, state] : in.state) kept.emplace_back(state, state.clone());
  }
  step();
  const auto plain = [](const at::Tensor& t) {  // codes of FP8 can only be copied
    return t.element_size() == 1 ? t.view(at::kByte) : t;
  };
  for (const auto& [buffer, before] : kept)
    plain(buffer).copy_(at::where(in.alive.unsqueeze(1) > 0, plain(buffer), plain(before)));
  if (in.compute.defined()) in.compute.copy_(in.weights);
}

// Adam's moments after this gradient, corrected for their start at 0.
struct Moments {
  at::Tensor first, second;
};
inline Moments advance_moments(const ArenaPart& part, const at::Tensor& g) {
  const StepInput& in = part.in;
  const at::Tensor beta1 = hyper_column(in, hyper_beta1), beta2 = hyper_column(in, hyper_beta2);
  at::Tensor m = read_moment(in, part.index, first_moment);
  at::Tensor v = read_moment(in, part.index, second_moment);
  m.mul_(beta1).add_(g * (1.0 - beta1));
  v.mul_(beta2).add_(g * g * (1.0 - beta2));
  write_moment(in, part.index, first_moment, m);
  write_moment(in, part.index, second_moment, v);
  return {m / hyper_column(in, hyper_correction1), v / hyper_column(in, hyper_correction2)};
}

// sqrt(v) + epsilon, v corrected.
inline at::Tensor adam_denominator(const StepInput& in, const at::Tensor& v, const Factors& f) {
  return at::sqrt(v).add_(hyper_column(in, hyper_epsilon) * f.epsilon);
}

}  // namespace rung

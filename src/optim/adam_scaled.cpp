#include "optim/adam_scaled.h"

#include <ATen/ops/sqrt.h>

#include "optim/elementwise.h"

namespace rung {

std::vector<StateSpec> adam_scaled_state(const Layout& layout) {
  return {{"exp_avg", layout.stride}, {"exp_avg_sq", layout.stride}};
}

void adam_scaled_step(const StepInput& in) {
  constexpr double smallest = 1e-3;  // tensors that start at 0 must be able to leave it
  const at::Tensor beta1 = hyper_column(in, hyper_beta1), beta2 = hyper_column(in, hyper_beta2);
  const at::Tensor first = hyper_column(in, hyper_correction1),
                   second = hyper_column(in, hyper_correction2);
  const at::Tensor epsilon = hyper_column(in, hyper_epsilon);
  step_tensors(in, [&](const auto& part, const at::Tensor& g, const Factors& f) {
    at::Tensor m = part(in.state.at("exp_avg")), v = part(in.state.at("exp_avg_sq"));
    m.mul_(beta1).add_(g * (1.0 - beta1));
    v.mul_(beta2).add_(g * g * (1.0 - beta2));
    const at::Tensor size = part(in.weights).square().mean({1}, true).sqrt().clamp_min(smallest);
    return size * (m / first) / (at::sqrt(v / second) + epsilon * f.epsilon);
  });
}

}  // namespace rung

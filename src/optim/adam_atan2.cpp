#include "optim/adam_atan2.h"

#include <ATen/ops/atan2.h>
#include <ATen/ops/sqrt.h>

#include <numbers>

#include "optim/elementwise.h"

namespace rung {

std::vector<StateSpec> adam_atan2_state(const Layout& layout) {
  return {{"exp_avg", layout.stride}, {"exp_avg_sq", layout.stride}};
}

void adam_atan2_step(const StepInput& in) {
  const at::Tensor beta1 = hyper_column(in, hyper_beta1), beta2 = hyper_column(in, hyper_beta2);
  const at::Tensor first = hyper_column(in, hyper_correction1),
                   second = hyper_column(in, hyper_correction2);
  step_tensors(in, [&](const auto& part, const at::Tensor& g, const Factors&) {
    at::Tensor m = part(in.state.at("exp_avg")), v = part(in.state.at("exp_avg_sq"));
    m.mul_(beta1).add_(g * (1.0 - beta1));
    v.mul_(beta2).add_(g * g * (1.0 - beta2));
    return at::atan2(m / first, at::sqrt(v / second)) * (4.0 / std::numbers::pi);
  });
}

}  // namespace rung

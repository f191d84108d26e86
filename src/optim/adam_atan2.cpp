#include "optim/adam_atan2.h"

#include <ATen/ops/atan2.h>

#include <numbers>

#include "optim/adamw.h"
#include "optim/elementwise.h"

namespace rung {

std::vector<StateSpec> adam_atan2_state(const Layout& layout) {
  return adamw_state(layout);
}

void adam_atan2_step(const StepInput& in) {
  const auto direction = [&](const auto& part, const at::Tensor& g, const Factors&) {
    const Moments moments = advance_moments(part, g);
    return at::atan2(moments.first, at::sqrt(moments.second)) * (4.0 / std::numbers::pi);
  };
  step_alive(in, [&] { step_tensors(in, direction); });
}

}  // namespace rung

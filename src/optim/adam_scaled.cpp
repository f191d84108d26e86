#include "optim/adam_scaled.h"

#include "optim/adamw.h"
#include "optim/elementwise.h"

namespace rung {

std::vector<StateSpec> adam_scaled_state(const Layout& layout) {
  return adamw_state(layout);
}

void adam_scaled_step(const StepInput& in) {
  constexpr double smallest = 1e-3;  // tensors that start at 0 must be able to leave it
  const auto direction = [&](const auto& part, const at::Tensor& g, const Factors& f) {
    const Moments moments = advance_moments(part, g);
    const at::Tensor size = part(in.weights).square().mean({1}, true).sqrt().clamp_min(smallest);
    return size * moments.first / adam_denominator(in, moments.second, f);
  };
  step_alive(in, [&] { step_tensors(in, direction); });
}

}  // namespace rung

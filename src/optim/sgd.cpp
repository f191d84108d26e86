#include "optim/sgd.h"

#include "optim/elementwise.h"

namespace rung {

std::vector<StateSpec> sgd_state(const Layout& layout) {
  return {{"momentum", layout.stride}};
}

void sgd_step(const StepInput& in) {
  const at::Tensor beta1 = hyper_column(in, hyper_beta1);
  const auto direction = [&](const auto& part, const at::Tensor& g, const Factors&) {
    return part(in.state.at("momentum")).mul_(beta1).add_(g);
  };
  step_alive(in, [&] { step_tensors(in, direction); });
}

}  // namespace rung

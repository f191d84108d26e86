// Gradient descent with heavy-ball momentum beta1 (Polyak 1964), undampened: m = beta1 m + g,
// w -= s (lr C m + decay w).
#pragma once
#include "optim/optimizer.h"

namespace rung {

std::vector<StateSpec> sgd_state(const Layout& layout);
void sgd_step(const StepInput& input);

}  // namespace rung

// Adam without epsilon (Everett et al. 2024, arXiv 2407.05872): the quotient of Adam's moments
// becomes an angle, u = 4/pi atan2(m_hat, sqrt(v_hat)), which is 1 where Adam's is and exactly
// independent of the gradient's scale. 4/pi is a port's value (1.27).
#pragma once
#include "optim/optimizer.h"

namespace rung {

std::vector<StateSpec> adam_atan2_state(const Layout& layout);
void adam_atan2_step(const StepInput& input);

}  // namespace rung

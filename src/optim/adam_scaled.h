// Adam with parameter scaling (Shazeer & Stern 2018, arXiv 1804.04235, section 8; Everett et al.
// 2024): Adam's update times max(1e-3, RMS(w)) of the tensor, so that the LR is a relative one.
#pragma once
#include "optim/optimizer.h"

namespace rung {

std::vector<StateSpec> adam_scaled_state(const Layout& layout);
void adam_scaled_step(const StepInput& input);

}  // namespace rung

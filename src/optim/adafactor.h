// Adafactor without momentum (Shazeer & Stern 2018, arXiv 1804.04235, algorithms 4 to 6): second
// moments of matrices kept as row and column means, decay 1 - t^-0.8, updates clipped to RMS 1,
// times max(1e-3, RMS(w)). The rate is the schedule's, not the paper's t^-1/2; beta1, beta2 and
// epsilon are not read.
#pragma once
#include "optim/optimizer.h"

namespace rung {

std::vector<StateSpec> adafactor_state(const Layout& layout);
void adafactor_step(const StepInput& input);

}  // namespace rung

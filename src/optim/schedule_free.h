// Schedule-Free AdamW and SGD: gradients at y, steps at z, and x, a running average of z, for
// evaluation. The weights are y; x follows from y and z.
// Source: Defazio et al. 2024, "The Road Less Scheduled", algorithm 1; weights of the average and
// warm-up as in the authors' implementation (r = 0, weight_lr_power = 2).
#pragma once
#include "optim/optimizer.h"

namespace rung {

std::vector<StateSpec> schedule_free_adamw_state(const Layout& layout);
void schedule_free_adamw_step(const StepInput& input);

// beta1 is the interpolation between z and x.
std::vector<StateSpec> schedule_free_sgd_state(const Layout& layout);
void schedule_free_sgd_step(const StepInput& input);

// x = y + (1 - 1/beta1) (z - y); y before the first step.
at::Tensor schedule_free_average(const EvalInput& input);

}  // namespace rung

// Batch and learning rate at the planned N and D, from fits of step-law, lr-horizon, critical-batch
// and noise-scale. Intervals are for a new measurement, as `predict` gives them.
#pragma once
#include <vector>

#include "plan/knowledge.h"
#include "plan/plan.h"

namespace rung {

// Fills plan.batch and plan.lr; what cannot be evaluated becomes a remark that says why.
void advise_hyperparameters(const Knowledge& knowledge, const PlanOptions& options, Plan& plan);

}  // namespace rung

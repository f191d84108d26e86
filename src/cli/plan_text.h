// A plan and a design as `rung plan` prints them.
#pragma once
#include <string>

#include "plan/design.h"
#include "plan/plan.h"

namespace rung {

std::string plan_text(const Plan& plan, const PlanOptions& options);
// `rate`: FLOP/s that the runs train at, 0 unknown.
std::string design_text(const Design& design, const DesignOptions& options, double rate);

}  // namespace rung

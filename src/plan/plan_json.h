// A plan as the object that `rung plan --json` prints and `--out` writes for `rung report`.
#pragma once
#include "core/json.h"
#include "plan/plan.h"

namespace rung {

Json plan_to_json(const Plan& plan, const PlanOptions& options);

}  // namespace rung

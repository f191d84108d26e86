// The runs to train next as a caller asks for them beside a plan: the plan is the target, and what
// the runs are chosen from and may cost has defaults.
#pragma once
#include <optional>
#include <span>

#include "core/json.h"
#include "law/table.h"
#include "plan/design.h"
#include "plan/plan.h"

namespace rung {

struct NextRuns {
  int64_t runs = 1;  // at most
  Criterion criterion = Criterion::target;
  Point target{};                         // where the loss matters, instead of the plan's point
  std::optional<Table> candidates{};      // with columns N and D; absent: a grid
  std::optional<double> flops{};          // of all together; absent: a tenth of the target's
  std::optional<double> max_run_flops{};  // of one; absent: what all may cost
};

struct NextDesign {
  Design design{};
  DesignOptions options{};
};

// Usage errors: no law of N and D among the sources, FLOPs that are not positive, candidates
// without N or D.
NextDesign design_next(std::span<const PlanSource> sources, const Plan& plan,
                       const PlanOptions& options, const NextRuns& wanted);

// As it stands in a plan's JSON under `design`: with the time that the runs take at `rate` FLOP/s
// (0: unknown).
Json next_to_json(const NextDesign& next, double rate);

}  // namespace rung

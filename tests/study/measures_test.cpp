#include "study/measures.h"

#include <doctest/doctest.h>

#include "study/climb_cases.h"

using namespace rung;

TEST_CASE("measures are left out by name") {
  ClimbOptions options = with_budget(1e13);
  options.measures = measures_without({"lr-rule", "batch-rule"});
  const ClimbPlan plan = plan_climb(climb_base(), bytes, options);
  CHECK(plan.sweeps.empty());
  for (const PlannedRun& rung : plan.ladder) CHECK(rung.point.batch_tokens == 4096);
  CHECK(to_json(plan).at("without") == Json{"lr-rule", "batch-rule"});
  CHECK(left_out(measures_without({})).empty());
  CHECK_THROWS_WITH_AS(measures_without({"regim"}),
                       "[climb] Unknown measure. Received --without regim. The nearest is regime; "
                       "there are lr-rule, batch-rule, regime, offset, prior, rollout, goodness, "
                       "noise, seeds.",
                       Error);
}

#include <cmath>

#include "core/error.h"
#include "study/climb_stages.h"

namespace rung {

std::vector<RunRecord> ladder_stage(Climb& c, const LrRule& rule) {
  enter_stage(c, "ladder");
  std::vector<RunRecord> ladder;
  for (const PlannedRun& run : c.plan.ladder) {
    const std::vector<RunRecord> records = train_planned(
        c, run, rule.at(static_cast<double>(run.point.tokens)), rule.batch_coefficient);
    double mean = 0.0, count = 0.0;
    for (const RunRecord& r : records)
      if (std::isfinite(r.L)) {
        ladder.push_back(r);
        mean += r.L;
        count += 1.0;
      }
    c.say(fmt::format("ladder  width {:>4}  N {:>6}  D {:>6}  loss {:.4f} ({} seeds)",
                      run.point.width, short_number(static_cast<double>(run.point.N)),
                      short_number(static_cast<double>(run.point.tokens)), mean / count,
                      static_cast<int>(count)));
  }
  return ladder;
}

RunRecord target_stage(Climb& c, const LrRule& rule) {
  enter_stage(c, "target");
  const double lr = rule.at(static_cast<double>(c.plan.target.point.tokens));
  return train_planned(c, c.plan.target, lr, rule.batch_coefficient).front();
}

}  // namespace rung

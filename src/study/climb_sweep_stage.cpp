#include <cmath>
#include <map>

#include "core/error.h"
#include "study/climb_stages.h"

namespace rung {
namespace {

// Mean loss by learning rate, diverged seeds left out.
std::vector<BowlPoint> bowl_points(const std::vector<RunRecord>& records) {
  std::map<double, std::vector<double>> losses;
  for (const RunRecord& r : records) losses[r.lr].push_back(r.L);
  std::vector<BowlPoint> points;
  for (const auto& [lr, values] : losses) {
    double sum = 0.0;
    for (const double v : values) sum += v / static_cast<double>(values.size());
    points.push_back({lr, sum});
  }
  return points;
}

// Position in the table of the first member of sweep `index`.
size_t members_before(const Climb& c, size_t index) {
  size_t count = 0;
  for (size_t i = 0; i < index; ++i) count += static_cast<size_t>(c.plan.sweeps[i].members());
  return count;
}

}  // namespace

// Learning rate and batch, from this data: bowls at two horizons, and the smallest rung at half and
// double batch.
LrRule sweep_stage(Climb& c) {
  enter_stage(c, "sweeps");
  constexpr double seed_noise = 0.008;  // relative, of one small run; only weights the rule
  const double coefficient = c.plan.options.batch_coefficient, lr = c.request.base.train.lr;
  if (c.plan.sweeps.empty())
    return {.log2_lr0 = std::log2(lr), .batch_coefficient = coefficient};  // a measure left out
  std::vector<BowlFit> bowls, standard;
  std::vector<double> horizons;
  for (const PlannedRun& run : c.plan.sweeps) {
    bowls.push_back(fit_bowl(bowl_points(train_planned(c, run, lr, coefficient)), seed_noise));
    if (run.batch_factor != 1.0) continue;
    standard.push_back(bowls.back());
    horizons.push_back(static_cast<double>(run.point.tokens));
  }
  LrRule rule = fit_lr_rule(standard, horizons);
  // Another batch must win clearly, by twice the noise of two bowls: what is best at the smallest
  // rung need not be best at the target, and the middle one is what published rules agree on.
  double factor = 1.0;
  size_t chosen = 0;
  for (size_t i = 1; i < bowls.size(); ++i)
    if (c.plan.sweeps[i].batch_factor != 1.0 &&
        bowls[i].loss < bowls[chosen].loss - (chosen == 0 ? 2.0 * seed_noise * bowls[0].loss : 0.0))
      chosen = i;
  if (chosen != 0) {
    factor = c.plan.sweeps[chosen].batch_factor;
    rule.log2_lr0 += bowls[chosen].log2_lr - bowls[0].log2_lr;
  }
  rule.batch_coefficient = coefficient * factor;
  Json optima = Json::array();
  for (size_t i = 0; i < bowls.size(); ++i) {
    Json entry = to_json(bowls[i]);
    entry["run"] = c.plan.sweeps[i].name;
    entry["width"] = c.plan.sweeps[i].point.width;
    entry["D"] = c.plan.sweeps[i].point.tokens;
    entry["batch_tokens"] = c.records[members_before(c, i)].batch_tokens;
    optima.push_back(entry);
  }
  write_json(c.file("rule.json"), {{"rule", to_json(rule)}, {"optima", optima}});
  c.say(fmt::format(
      "rule    lr {:.3g} at {} tokens, slope {:+.2f} per doubling; batch {:.2g} sqrt(D)",
      std::exp2(rule.log2_lr0), short_number(rule.tokens0), rule.slope, rule.batch_coefficient));
  return rule;
}

}  // namespace rung

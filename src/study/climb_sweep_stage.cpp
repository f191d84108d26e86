#include <cmath>
#include <map>

#include "core/error.h"
#include "study/climb_stages.h"

namespace rung {
namespace {

// The means of a sweep's learning rates (NaN where a seed diverged) and their relative noise.
struct SweptMeans {
  std::vector<BowlPoint> points;
  double noise = 0.008;  // of one small run; only weights the rule
};

SweptMeans swept_means(const std::vector<RunRecord>& records) {
  std::map<double, std::vector<double>> losses;
  for (const RunRecord& r : records) losses[r.lr].push_back(r.L);
  SweptMeans means;
  double squares = 0.0, freedom = 0.0;
  for (const auto& [lr, values] : losses) {
    const double count = static_cast<double>(values.size());
    double mean = 0.0;
    for (const double v : values) mean += v / count;
    means.points.push_back({lr, mean});
    if (!std::isfinite(mean)) continue;
    for (const double v : values) squares += (v / mean - 1.0) * (v / mean - 1.0);
    freedom += count - 1.0;
  }
  const double seeds = static_cast<double>(records.size()) / static_cast<double>(losses.size());
  if (freedom > 0.0) means.noise = std::max(1e-3, std::sqrt(squares / freedom / seeds));
  return means;
}

// Position in the table of the first member of sweep `index`.
size_t members_before(const Climb& c, size_t index) {
  size_t count = 0;
  for (size_t i = 0; i < index; ++i) count += static_cast<size_t>(c.plan.sweeps[i].members());
  return count;
}

// Rates that all lie on one side of the optimum make a rule that is far from it, and with it every
// loss of the climb: muP's best rates are far below the default's range, which is u-muP's.
void say_edges(const Climb& c, const std::vector<BowlFit>& bowls) {
  const double middle = std::log2(c.request.base.train.lr);
  for (const bool lowest : {true, false}) {
    size_t count = 0;
    for (const BowlFit& bowl : bowls) count += bowl.at_edge && (bowl.log2_lr < middle) == lowest;
    if (2 * count <= bowls.size()) continue;
    const char* side = lowest ? "lower" : "higher";
    c.say(fmt::format(
        "rule    warning: {} of {} sweeps end at their {} rate, so the best lies beyond and all "
        "losses suffer; climb anew with a {} --set train.lr (now {:g}, swept 4 times lower to 4 "
        "times higher)",
        count, bowls.size(), lowest ? "lowest" : "highest", side, c.request.base.train.lr));
  }
}

}  // namespace

// Learning rate and batch, from this data: bowls at two horizons, and the smallest rung at half and
// double batch.
LrRule sweep_stage(Climb& c) {
  enter_stage(c, "sweeps");
  const double coefficient = c.plan.options.batch_coefficient, lr = c.request.base.train.lr;
  if (c.plan.sweeps.empty())
    return {.log2_lr0 = std::log2(lr), .batch_coefficient = coefficient};  // a measure left out
  std::vector<BowlFit> bowls, standard;
  std::vector<double> horizons, noise;
  for (const PlannedRun& run : c.plan.sweeps) {
    const SweptMeans means = swept_means(train_planned(c, run, lr, coefficient));
    bowls.push_back(fit_bowl(means.points, means.noise));
    noise.push_back(means.noise);
    if (run.batch_factor != 1.0) continue;
    standard.push_back(bowls.back());
    horizons.push_back(static_cast<double>(run.point.tokens));
  }
  LrRule rule = fit_lr_rule(standard, horizons);
  // Another batch must win clearly, by twice the noise of the noisier bowl: what is best at the
  // smallest rung need not be best at the target, and the middle one is what published rules agree
  // on.
  double factor = 1.0;
  size_t chosen = 0;
  for (size_t i = 1; i < bowls.size(); ++i)
    if (c.plan.sweeps[i].batch_factor != 1.0 &&
        bowls[i].loss <
            bowls[chosen].loss -
                (chosen == 0 ? 2.0 * std::max(noise[0], noise[i]) * bowls[0].loss : 0.0))
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
  write_json(
      c.file("rule.json"),
      {{"rule", to_json(rule)}, {"batch_from", c.plan.sweeps[chosen].name}, {"optima", optima}});
  c.say(fmt::format(
      "rule    lr {:.3g} at {} tokens, slope {:+.2f} per doubling; batch {:.2g} sqrt(D){}",
      std::exp2(rule.log2_lr0), short_number(rule.tokens0), rule.slope, rule.batch_coefficient,
      factor < 1.0   ? ", half of the usual"
      : factor > 1.0 ? ", twice the usual"
                     : ""));
  say_edges(c, bowls);
  return rule;
}

}  // namespace rung

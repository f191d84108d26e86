#include "study/coord.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/clock.h"
#include "core/error.h"
#include "law/regression.h"
#include "law/student.h"
#include "study/coord_probe.h"

namespace rung {
namespace {

RunConfig shaped(const RunConfig& base, int64_t width, int64_t depth, int64_t steps) {
  RunConfig config = base;
  config.model.width = width;
  config.model.depth = depth;
  // The rules see the run's length, which must not follow the horizons: tokens are kept where they
  // are enough. A constant rate, so that every horizon is a prefix of the longest.
  config.train.tokens = std::max(base.train.tokens, steps * config.train.batch_tokens);
  config.train.schedule = "constant";
  config.train.warmup = 0.0;
  config.train.cooldown = 0.0;
  return config;
}

int64_t last_horizon(const CoordPlan& plan) {
  return *std::max_element(plan.horizons.begin(), plan.horizons.end());
}

CoordPlan checked(CoordPlan plan, const RunConfig& config) {
  if (plan.widths.empty()) plan.widths = {config.model.width};
  if (plan.depths.empty()) plan.depths = {config.model.depth};
  for (auto* list : {&plan.widths, &plan.depths, &plan.horizons}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
    if (!list->empty() && list->front() < 1)
      fail_usage("[coord] Widths, depths and horizons are whole numbers from 1. Received {}.",
                 list->front());
  }
  if (plan.widths.size() < 2 && plan.depths.size() < 2)
    fail_usage(
        "[coord] A slope needs two widths or two depths. Received one shape. Set --widths "
        "32,64,128 or --depths 2,4,8.");
  if (plan.seeds < 2 || plan.horizons.empty())
    fail_usage("[coord] At least 2 seeds and 1 horizon are needed. Received {} and {}.", plan.seeds,
               plan.horizons.size());
  return plan;
}

// Log-alignment exponents at the largest shape that has them.
std::vector<CoordAlignment> alignment_of(const std::vector<CoordSample>& samples, double level) {
  std::pair<int64_t, int64_t> largest{0, 0};
  for (const CoordSample& s : samples) largest = std::max(largest, {s.width, s.depth});
  std::map<std::pair<std::string, int64_t>, std::vector<double>> groups;
  for (const CoordSample& s : samples) {
    const double ratio = s.value[static_cast<size_t>(Quantity::alignment)];
    if (std::pair(s.width, s.depth) == largest && s.fan_in > 1 && ratio > 0.0)
      groups[{s.tensor, s.horizon}].push_back(std::log(ratio) /
                                              std::log(static_cast<double>(s.fan_in)));
  }
  std::vector<CoordAlignment> result;
  for (const auto& [key, values] : groups) {
    if (values.size() < 2) continue;
    const double mean = mean_of(values);
    const double half = student_quantile(0.5 + 0.5 * level, static_cast<int>(values.size()) - 1) *
                        deviation_of(values) / std::sqrt(static_cast<double>(values.size()));
    result.push_back({key.first, key.second, mean, mean - half, mean + half});
  }
  return result;
}

}  // namespace

const char* quantity_name(Quantity quantity) {
  switch (quantity) {
    case Quantity::activation:
      return "activation";
    case Quantity::update:
      return "update";
    case Quantity::change:
      return "change";
    case Quantity::step:
      return "step";
    case Quantity::decay:
      return "decay";
    case Quantity::alignment:
      return "alignment";
  }
  return "";
}

int64_t CoordResult::count(Verdict verdict) const {
  return std::count_if(slopes.begin(), slopes.end(),
                       [&](const CoordSlope& s) { return s.verdict == verdict; });
}

bool CoordResult::pass() const {
  return count(Verdict::fail) == 0 && (diverged.empty() || !promises());
}

std::vector<std::vector<RunConfig>> coord_populations(const RunConfig& config,
                                                      const CoordPlan& given) {
  const CoordPlan plan = checked(given, config);
  std::vector<std::vector<RunConfig>> populations;
  for (const int64_t depth : plan.depths)
    for (const int64_t width : plan.widths) {
      std::vector<RunConfig> members(static_cast<size_t>(plan.seeds),
                                     shaped(config, width, depth, last_horizon(plan)));
      for (size_t i = 0; i < members.size(); ++i) members[i].seed = config.seed + i;
      populations.push_back(std::move(members));
    }
  return populations;
}

CoordResult check_coordinates(const RunConfig& config, const CoordPlan& given,
                              std::shared_ptr<const TokenSource> source, const Machine& machine,
                              const RunHooks& hooks, const std::function<void(Decoder&)>& alter) {
  const CoordPlan plan = checked(given, config);
  CoordResult result{.promise = promise_of(config)};
  const auto populations = coord_populations(config, plan);
  const auto begin = Clock::now();
  const auto batch = static_cast<double>(config.train.batch_tokens * plan.seeds);
  Progress progress{.total = batch * static_cast<double>(last_horizon(plan)) *
                             static_cast<double>(populations.size())};
  const auto tick = [&] {
    progress.done += batch;
    progress.seconds = seconds_since(begin);
    if (hooks.progress) hooks.progress(progress);
    result.interrupted = hooks.interrupted && hooks.interrupted();
    return !result.interrupted;
  };
  for (const std::vector<RunConfig>& members : populations) {
    const ModelConfig& model = members.front().model;
    progress.label = fmt::format("w{} d{}", model.width, model.depth);
    if (!measure_shape(members, plan, source, machine, alter, tick, result.samples))
      result.diverged.push_back(progress.label);
    if (result.interrupted) return result;
  }
  result.slopes = fit_slopes(result.samples, plan);
  for (CoordSlope& slope : result.slopes) {
    slope.promised = promised(result.promise, config, slope);
    judge(slope, plan.tolerance);
  }
  result.alignment = alignment_of(result.samples, plan.level);
  return result;
}

}  // namespace rung

#include "study/climb_plan.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/progress.h"
#include "model/decoder.h"
#include "scaling/count.h"
#include "study/plan_shapes.h"

namespace rung {
namespace {

// Least ratio of the target's N (and D) to the largest rung's.
constexpr double target_spacing = 1.8;

constexpr double fixed_batch = 4096.0;  // where the batch rule is left out

int64_t batch_tokens_for(double coefficient, int64_t tokens, int64_t context,
                         const Measures& measures) {
  const double wanted =
      measures.batch_rule ? coefficient * std::sqrt(static_cast<double>(tokens)) : fixed_batch;
  const double sequences = wanted / static_cast<double>(context);
  return std::max<int64_t>(1, std::llround(sequences)) * context;
}

PlannedRun sweep_run(const std::string& name, const PathPoint& point, double batch_factor,
                     std::vector<double> factors, int64_t seeds) {
  return {.name = name,
          .kind = "sweep",
          .point = point,
          .batch_factor = batch_factor,
          .lr_factors = std::move(factors),
          .seeds = seeds};
}

// Learning rates are swept on the smallest rung and on a middle one, so that the rule sees two
// horizons far apart; batches on the smallest.
std::vector<PlannedRun> sweeps_on(const std::vector<PathPoint>& ascending,
                                  const ClimbOptions& options) {
  const PathPoint &smallest = ascending[0], &middle = ascending[ascending.size() / 2];
  std::vector<PlannedRun> sweeps = {
      sweep_run("sweep-a", smallest, 1.0, {0.25, 0.5, 1.0, 2.0, 4.0}, options.sweep_seeds),
      sweep_run("sweep-b", middle, 1.0, {0.5, 1.0, 2.0}, options.sweep_seeds)};
  if (!options.measures.batch_rule) return sweeps;
  sweeps.push_back(sweep_run("sweep-a-half-batch", smallest, 0.5,
                             {0.35355339, 0.70710678, 1.41421356}, options.sweep_seeds));
  sweeps.push_back(sweep_run("sweep-a-double-batch", smallest, 2.0,
                             {0.70710678, 1.41421356, 2.82842712}, options.sweep_seeds));
  return sweeps;
}

// Seeds are spent where they are cheap: none of the rungs costs much more than the largest.
int64_t seeds_for(const PathPoint& rung, const PathPoint& largest, int64_t most) {
  const double affordable = 2.0 * std::sqrt(largest.C / rung.C);
  return std::clamp<int64_t>(static_cast<int64_t>(affordable), 2, most);
}

}  // namespace

const PathPoint& Path::at(int64_t width) {
  const auto [entry, fresh] = points_.try_emplace(width);
  if (fresh) entry->second = path_point(base_, vocabulary_, width, options_);
  return entry->second;
}

std::vector<PathPoint> rungs_below(Path& path, const PathPoint& target,
                                   const ClimbOptions& options) {
  std::vector<PathPoint> rungs;
  for (int64_t width = target.width - options.width_step; width >= options.smallest_width;
       width -= options.width_step) {
    const PathPoint& point = path.at(width);
    if (!rungs.empty() &&
        static_cast<double>(point.N) * options.reach < static_cast<double>(rungs.front().N))
      break;
    const bool first = rungs.empty();
    const double room =
        static_cast<double>(first ? target.N : rungs.back().N) / static_cast<double>(point.N);
    if (room < (first ? target_spacing : options.spacing)) continue;
    if (first &&
        (target.C < options.ahead * point.C ||
         static_cast<double>(target.tokens) < target_spacing * static_cast<double>(point.tokens)))
      continue;
    rungs.push_back(point);
    if (rungs.size() == options.most_rungs) break;
  }
  return rungs;
}

ClimbPlan plan_for(const PathPoint& target, std::vector<PathPoint> rungs,
                   const ClimbOptions& options) {
  ClimbPlan plan{.options = options};
  std::reverse(rungs.begin(), rungs.end());
  if (options.measures.lr_rule) plan.sweeps = sweeps_on(rungs, options);
  for (const PathPoint& rung : rungs)
    plan.ladder.push_back({.name = fmt::format("rung-w{}", rung.width),
                           .kind = "ladder",
                           .point = rung,
                           .lr_factors = {1.0},
                           .seeds = seeds_for(rung, rungs.back(), options.most_seeds)});
  plan.target = {
      .name = "target", .kind = "target", .point = target, .lr_factors = {1.0}, .seeds = 1};
  return plan;
}

void spend_rest(ClimbPlan& plan) {
  double left = plan.options.flops - plan.flops();
  for (bool bought = true; bought;) {
    bought = false;
    for (auto rung = plan.ladder.rbegin(); rung != plan.ladder.rend(); ++rung) {
      if (rung->seeds >= plan.options.most_seeds || rung->point.C > left) continue;
      ++rung->seeds;
      left -= rung->point.C;
      bought = true;
    }
  }
}

double ClimbPlan::flops() const {
  double total = options.train_target ? target.flops() : 0.0;
  for (const PlannedRun& run : sweeps) total += run.flops();
  for (const PlannedRun& run : ladder) total += run.flops();
  return total;
}

double ClimbPlan::ahead() const {
  return target.point.C / ladder.back().point.C;
}

PathPoint path_point(const RunConfig& base, int64_t vocabulary, int64_t width,
                     const ClimbOptions& options) {
  RunConfig config = base;
  config.model.width = width;
  config.model.head_dim = width / options.heads;
  const Decoder decoder = make_decoder(config, vocabulary);
  PathPoint point{.width = width, .N = count(decoder.layout.tensors).N};
  const double tokens = options.tokens_per_parameter * static_cast<double>(point.N);
  point.batch_tokens = batch_tokens_for(options.batch_coefficient, static_cast<int64_t>(tokens),
                                        base.model.context, options.measures);
  point.tokens = static_cast<int64_t>(tokens) / point.batch_tokens * point.batch_tokens;
  point.C = training_flops(decoder, base.model.context) / static_cast<double>(base.model.context) *
            static_cast<double>(point.tokens);
  return point;
}

std::vector<RunConfig> members_of(const PlannedRun& run, const RunConfig& base, double lr,
                                  double batch_coefficient, const ClimbOptions& options) {
  std::vector<RunConfig> members;
  for (const double factor : run.lr_factors)
    for (int64_t s = 0; s < run.seeds; ++s) {
      RunConfig config = base;
      config.model.width = run.point.width;
      config.model.head_dim = run.point.width / options.heads;
      config.train.batch_tokens =
          batch_tokens_for(batch_coefficient * run.batch_factor, run.point.tokens,
                           base.model.context, options.measures);
      config.train.tokens =
          run.point.tokens / config.train.batch_tokens * config.train.batch_tokens;
      config.train.lr = lr * factor;
      config.seed = options.seed * 1000 +
                    (run.kind == "target"  ? 500
                     : run.kind == "sweep" ? 100
                                           : 0) +
                    static_cast<uint64_t>(s);
      members.push_back(config);
    }
  return members;
}

std::vector<std::string> plan_lines(const ClimbPlan& plan) {
  const PathPoint& t = plan.target.point;
  std::vector<std::string> lines{fmt::format(
      "plan    target width {} (N {}, D {}, {:.2g} FLOP), {} rungs, {:.1f}x beyond the largest",
      t.width, short_number(static_cast<double>(t.N)), short_number(static_cast<double>(t.tokens)),
      t.C, plan.ladder.size(), plan.ahead())};
  const int64_t most = plan.options.most_tokens;
  if (plan.limited_by_text)
    lines.push_back(fmt::format(
        "plan    the text holds {} training tokens and limits the target; for this budget it is {} "
        "short. Give more text, or --repeat",
        short_number(static_cast<double>(most)),
        short_number(static_cast<double>(plan.wanted_tokens - most))));
  return lines;
}

}  // namespace rung

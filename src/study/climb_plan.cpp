#include "study/climb_plan.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "model/decoder.h"
#include "scaling/count.h"

namespace rung {
namespace {

constexpr size_t fewest_rungs = 4;
constexpr double target_spacing =
    1.8;  // least ratio of the target's N (and D) to the largest rung's

constexpr double fixed_batch = 4096.0;  // where the batch rule is left out

int64_t batch_tokens_for(double coefficient, int64_t tokens, int64_t context,
                         const Measures& measures) {
  const double wanted =
      measures.batch_rule ? coefficient * std::sqrt(static_cast<double>(tokens)) : fixed_batch;
  const double sequences = wanted / static_cast<double>(context);
  return std::max<int64_t>(1, std::llround(sequences)) * context;
}

// Widths below the target, largest first, spaced in N.
std::vector<PathPoint> rungs_below(const RunConfig& base, int64_t vocabulary,
                                   const PathPoint& target, const ClimbOptions& options) {
  std::vector<PathPoint> rungs;
  for (int64_t width = target.width - options.width_step; width >= options.smallest_width;
       width -= options.width_step) {
    const PathPoint point = path_point(base, vocabulary, width, options);
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

// Shapes come in steps, so that the widest affordable climb leaves some of the budget: it buys more
// seeds, a round at a time from the largest rung down, which the prediction hangs on most.
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

}  // namespace

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

namespace {

struct Search {
  ClimbPlan best;
  bool found = false, text_short = false;
  int64_t fewest_tokens = INT64_MAX, wanted_tokens = 0;  // of the climbs that the budget affords
  double cheapest = INFINITY;                            // of all climbs that the shapes allow
};

// A climb to a target of given width: the ladder keeps as near below it as the budget affords.
Search search_given(const RunConfig& base, int64_t vocabulary, ClimbOptions options) {
  Search search;
  PathPoint target = path_point(base, vocabulary, options.target_width, options);
  if (options.target_tokens > 0) {
    // Every rung then has the target's tokens per parameter.
    options.tokens_per_parameter =
        static_cast<double>(options.target_tokens) / static_cast<double>(target.N);
    target = path_point(base, vocabulary, options.target_width, options);
  }
  constexpr double farther = 1.25;
  for (;; options.ahead *= farther) {
    const std::vector<PathPoint> rungs = rungs_below(base, vocabulary, target, options);
    if (rungs.size() < fewest_rungs) return search;
    ClimbPlan plan = plan_for(target, rungs, options);
    search.cheapest = std::min(search.cheapest, plan.flops());
    const int64_t tokens = options.train_target ? target.tokens : rungs.front().tokens;
    search.fewest_tokens = std::min(search.fewest_tokens, tokens);
    if (plan.flops() > options.flops) continue;
    search.text_short = tokens > options.most_tokens;
    if (search.text_short) continue;
    search.best = std::move(plan);
    search.found = true;
    return search;
  }
}

// To three digits, so that the amount a message names is enough.
double rounded_up(double value) {
  const double unit = std::pow(10.0, std::floor(std::log10(value)) - 2.0);
  return std::ceil(value / unit) * unit;
}

// Of affordable plans, in ascending order of the target, the widest. But shapes come in steps, so
// that it may lie much farther ahead of its ladder than was asked for: a somewhat smaller one that
// lies nearer is predicted better, and what it saves buys seeds.
const ClimbPlan& best_of(std::span<const ClimbPlan> plans) {
  constexpr double least_share = 0.75;
  const double most = plans.back().target.point.C;
  const auto badness = [&](const ClimbPlan& plan) {
    return plan.ahead() * std::sqrt(most / plan.target.point.C);
  };
  const ClimbPlan* best = &plans.back();
  for (const ClimbPlan& plan : plans)
    if (plan.target.point.C >= least_share * most && badness(plan) < badness(*best)) best = &plan;
  return *best;
}

// The largest affordable targets among shapes of one kind.
Search search_plans(const RunConfig& base, int64_t vocabulary, const ClimbOptions& options) {
  Search search;
  std::vector<ClimbPlan> affordable;  // ascending in tokens
  size_t fitting = 0;                 // the first ones, which the text is enough for
  constexpr int64_t widest = 16384;
  for (int64_t width = options.smallest_width + options.width_step; width <= widest;
       width += options.width_step) {
    const PathPoint target = path_point(base, vocabulary, width, options);
    if (target.C > options.flops && std::isfinite(search.cheapest)) break;
    const std::vector<PathPoint> rungs = rungs_below(base, vocabulary, target, options);
    if (rungs.size() < fewest_rungs) continue;
    ClimbPlan plan = plan_for(target, rungs, options);
    search.cheapest = std::min(search.cheapest, plan.flops());
    if (plan.flops() > options.flops) continue;
    search.fewest_tokens = std::min(search.fewest_tokens, target.tokens);
    if (target.tokens <= options.most_tokens) ++fitting;
    affordable.push_back(std::move(plan));
  }
  search.found = fitting > 0;
  search.text_short = fitting < affordable.size();
  if (search.found) search.best = best_of(std::span(affordable).first(fitting));
  if (!affordable.empty()) search.wanted_tokens = best_of(affordable).target.point.tokens;
  return search;
}

}  // namespace

PlanSearch find_plan(const RunConfig& base, int64_t vocabulary, const ClimbOptions& options) {
  Search search = options.target_width > 0 ? search_given(base, vocabulary, options)
                                           : search_plans(base, vocabulary, options);
  PlanSearch result;
  if (options.target_width > 0 && search.fewest_tokens == INT64_MAX) {
    result.shortage = fmt::format(
        "[climb] No ladder of {} rungs lies below the target. Received width {}; widths here are "
        "multiples of {} from {}. Choose a wider target, or a smaller --ahead.",
        fewest_rungs, options.target_width, options.width_step, options.smallest_width);
  } else if (search.found && options.largest_head > 0 &&
             search.best.target.point.width > options.largest_head * options.heads &&
             options.target_width % (2 * options.width_step) == 0) {
    ClimbOptions more_heads = options;
    more_heads.heads *= 2;
    more_heads.width_step *= 2;
    more_heads.smallest_width *= 2;
    return find_plan(base, vocabulary, more_heads);
  } else if (search.found) {
    spend_rest(search.best);
    search.best.limited_by_text = search.wanted_tokens > search.best.target.point.tokens;
    search.best.wanted_tokens = std::max(search.wanted_tokens, search.best.target.point.tokens);
    result.plan = std::move(search.best);
  } else if (search.text_short) {
    result.shortage = fmt::format(
        "[climb] The text is too small to climb. Received {} distinct training tokens; the "
        "smallest climb here needs {}. Give more text, or --repeat.",
        options.most_tokens, search.fewest_tokens);
  } else {
    result.budget_short = true;
    result.shortage = fmt::format(
        "[climb] The budget is too small to climb. Received {:.3g} FLOP; the smallest climb here "
        "needs {:.3g}. Raise --budget.",
        options.flops, rounded_up(search.cheapest));
  }
  return result;
}

ClimbPlan plan_climb(const RunConfig& base, int64_t vocabulary, const ClimbOptions& options) {
  PlanSearch search = find_plan(base, vocabulary, options);
  if (!search.plan) fail("{}", search.shortage);
  return *std::move(search.plan);
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

}  // namespace rung

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "study/climb_plan.h"
#include "study/gpu_shapes.h"
#include "study/plan_shapes.h"

namespace rung {
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
  Path path(base, vocabulary, options);
  constexpr double farther = 1.25;
  for (;; options.ahead *= farther) {
    const std::vector<PathPoint> rungs = rungs_below(path, target, options);
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
  Path path(base, vocabulary, options);
  for (int64_t width = options.smallest_width + options.width_step; width <= options.widest;
       width += options.width_step) {
    const PathPoint target = path.at(width);
    if (target.C > options.flops && std::isfinite(search.cheapest)) break;
    const std::vector<PathPoint> rungs = rungs_below(path, target, options);
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

// Heads can be made smaller where the width is free, or where a given one can be cut into more.
bool wants_more_heads(const ClimbPlan& plan, const ClimbOptions& options) {
  return outgrows_heads(options, plan.target.point.width) &&
         options.target_width % (2 * options.width_step) == 0;
}

// The smallest climb of more heads costs more: where the budget does not afford it, the widest
// target whose heads are small enough as they are.
PlanSearch find_plan_of_smaller_heads(const RunConfig& base, int64_t vocabulary,
                                      const ClimbOptions& options) {
  PlanSearch more = find_plan(base, vocabulary, with_more_heads(options));
  if (more.plan || options.target_width > 0) return more;
  ClimbOptions narrower = options;
  narrower.widest = options.largest_head * options.heads;
  PlanSearch fewer = find_plan(base, vocabulary, narrower);
  return fewer.plan ? fewer : more;
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
  } else if (search.found && wants_more_heads(search.best, options)) {
    return find_plan_of_smaller_heads(base, vocabulary, options);
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

}  // namespace rung

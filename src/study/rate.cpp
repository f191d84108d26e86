#include "study/rate.h"

#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "core/error.h"
#include "study/gpu_shapes.h"

namespace rung {
namespace {

double seconds_per_flop(const std::vector<Rate>& rates, int64_t width, int64_t members) {
  if (width <= rates.front().width) {
    // Below the probed widths overheads rule: the rate falls in proportion.
    return rates.front().seconds_per_flop(members) * static_cast<double>(rates.front().width) /
           static_cast<double>(width);
  }
  for (size_t i = 1; i < rates.size(); ++i) {
    if (width > rates[i].width) continue;
    const double x =
        std::log(static_cast<double>(width) / static_cast<double>(rates[i - 1].width)) /
        std::log(static_cast<double>(rates[i].width) / static_cast<double>(rates[i - 1].width));
    const double from = rates[i - 1].seconds_per_flop(members);
    return from * std::pow(rates[i].seconds_per_flop(members) / from, x);
  }
  return rates.back().seconds_per_flop(members);
}

double seconds_of(const PlannedRun& run, const std::vector<Rate>& rates) {
  return run.flops() * seconds_per_flop(rates, run.point.width, run.members());
}

// Steps that are timed: a second's, or fewer where they show enough.
constexpr int64_t enough_steps = 200;

// Seconds of a run to the point per member.
double measure(const RunConfig& base, std::shared_ptr<const TokenSource> source,
               const Machine& machine, const ClimbOptions& options, const PathPoint& point,
               int64_t members, int64_t most_steps) {
  const PlannedRun run{
      .name = "probe", .kind = "sweep", .point = point, .lr_factors = {1.0}, .seeds = members};
  Population population(members_of(run, base, base.train.lr, options.batch_coefficient, options),
                        source, machine);
  for (int i = 0; i < 2; ++i) population.advance();  // first touches and allocations
  const auto start = Clock::now();
  double seconds = 0.0;
  int64_t steps = 0;
  while (seconds < 1.0 && steps < most_steps) {
    population.advance();
    ++steps;
    seconds = seconds_since(start);
  }
  const double steps_in_run = static_cast<double>(point.tokens / point.batch_tokens);
  return seconds * steps_in_run / static_cast<double>(steps * members);
}

}  // namespace

std::vector<Rate> measure_rates(const RunConfig& base, std::shared_ptr<const TokenSource> source,
                                const Machine& machine, const ClimbOptions& options, bool company) {
  const bool cuda = machine.device == "cuda";
  const std::vector<int64_t> multiples =
      cuda ? std::vector<int64_t>{1, 2, 4, 8, 14} : std::vector<int64_t>{2, 4, 8};
  std::vector<Rate> rates;
  for (const int64_t multiple : multiples) {
    Rate rate{.width = options.smallest_width * multiple};
    const ClimbOptions at = with_heads_at(options, rate.width);
    const PathPoint point = path_point(base, source->vocabulary(), rate.width, at);
    const auto measured = [&](int64_t members) {
      return measure(base, source, machine, at, point, members,
                     company ? INT64_MAX : enough_steps) /
             point.C;
    };
    if (cuda) {
      const double alone = measured(1), among_eight = measured(8);
      rate.shared = std::max(0.0, (alone - among_eight) * 8.0 / 7.0);
      rate.own = alone - rate.shared;
    } else {
      rate.own = measured(2);
    }
    rates.push_back(rate);
  }
  return rates;
}

double seconds_alone(const RunConfig& base, std::shared_ptr<const TokenSource> source,
                     const Machine& machine, const ClimbOptions& options, const PathPoint& point) {
  return measure(base, std::move(source), machine, options, point, 1, enough_steps);
}

double pace_alone(const RunConfig& base, std::shared_ptr<const TokenSource> source,
                  const Machine& machine, const ClimbOptions& options) {
  const int64_t width = 4 * options.smallest_width;
  const ClimbOptions at = with_heads_at(options, width);
  const PathPoint point = path_point(base, source->vocabulary(), width, at);
  return seconds_alone(base, std::move(source), machine, at, point) / point.C;
}

double plan_seconds(const ClimbPlan& plan, const std::vector<Rate>& rates) {
  double seconds = plan.options.train_target ? seconds_of(plan.target, rates) : 0.0;
  for (const auto* stage : {&plan.sweeps, &plan.ladder})
    for (const PlannedRun& run : *stage) seconds += seconds_of(run, rates);
  return seconds;
}

namespace {

// Between a budget that affords no climb and one that does, the least that does.
double least_flops(const RunConfig& base, int64_t vocabulary, ClimbOptions options, double none,
                   double some) {
  for (int i = 0; i < 12; ++i) {
    options.flops = std::sqrt(none * some);
    (find_plan(base, vocabulary, options).plan ? some : none) = options.flops;
  }
  return some;
}

}  // namespace

double flops_for_seconds(const RunConfig& base, int64_t vocabulary, ClimbOptions options,
                         const std::vector<Rate>& rates, double seconds) {
  double low = 0.0, high = 0.0;
  options.flops = 1e9;  // less than any climb
  for (int doubling = 0; doubling < 70 && high == 0.0; ++doubling) {
    const PlanSearch search = find_plan(base, vocabulary, options);
    if (search.plan) {
      if (plan_seconds(*search.plan, rates) > seconds)
        high = options.flops;
      else if (search.plan->limited_by_text ||
               (options.target_width > 0 && search.plan->flops() < 0.25 * options.flops))
        return options.flops;  // more would buy nothing
      else
        low = options.flops;
    } else if (!search.budget_short) {
      fail("{}", search.shortage);
    }
    options.flops *= 2.0;
  }
  if (low == 0.0) {
    // Doubling may have stepped over every climb that there is time for.
    if (high > 0.0) low = least_flops(base, vocabulary, options, 0.5 * high, high);
    options.flops = low;
    const double shortest = plan_seconds(plan_climb(base, vocabulary, options), rates);
    if (shortest > seconds)
      fail(
          "[climb] The budget is too small to climb. Received one that leaves {:.0f} s for "
          "training; the smallest climb takes about {:.0f} s here. Raise --budget.",
          std::floor(seconds), std::ceil(shortest));  // never the same
  }
  for (int i = 0; i < 12; ++i) {
    options.flops = std::sqrt(low * high);
    (plan_seconds(plan_climb(base, vocabulary, options), rates) > seconds ? high : low) =
        options.flops;
  }
  return low;
}

}  // namespace rung

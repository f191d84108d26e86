#include "study/rate.h"

#include <chrono>
#include <cmath>

#include "core/error.h"

namespace rung {
namespace {

using Clock = std::chrono::steady_clock;

double rate_at(const std::vector<Rate>& rates, int64_t width) {
  if (width <= rates.front().width) {
    // Below the probed widths overheads rule: the rate falls in proportion.
    return rates.front().flops_per_second * static_cast<double>(width) /
           static_cast<double>(rates.front().width);
  }
  for (size_t i = 1; i < rates.size(); ++i) {
    if (width > rates[i].width) continue;
    const double x =
        std::log(static_cast<double>(width) / static_cast<double>(rates[i - 1].width)) /
        std::log(static_cast<double>(rates[i].width) / static_cast<double>(rates[i - 1].width));
    return rates[i - 1].flops_per_second *
           std::pow(rates[i].flops_per_second / rates[i - 1].flops_per_second, x);
  }
  return rates.back().flops_per_second;
}

Rate measure(const RunConfig& base, std::shared_ptr<const TokenSource> source,
             const Machine& machine, const ClimbOptions& options, int64_t width) {
  const PathPoint point = path_point(base, source->vocabulary(), width, options);
  const PlannedRun run{
      .name = "probe", .kind = "sweep", .point = point, .lr_factors = {1.0}, .seeds = 2};
  Population population(members_of(run, base, base.train.lr, options.batch_coefficient, options),
                        source, machine);
  for (int i = 0; i < 2; ++i) population.advance();  // first touches and allocations
  const auto start = Clock::now();
  double seconds = 0.0;
  int64_t steps = 0;
  while (seconds < 1.0 && steps < 200) {
    population.advance();
    ++steps;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  }
  const double steps_in_run = static_cast<double>(point.tokens / point.batch_tokens);
  return {width, point.C * 2.0 * static_cast<double>(steps) / steps_in_run / seconds};
}

}  // namespace

std::vector<Rate> measure_rates(const RunConfig& base, std::shared_ptr<const TokenSource> source,
                                const Machine& machine, const ClimbOptions& options) {
  const std::vector<int64_t> multiples = machine.device == "cuda"
                                             ? std::vector<int64_t>{1, 2, 4, 8, 14}
                                             : std::vector<int64_t>{2, 4, 8};
  std::vector<Rate> rates;
  for (const int64_t multiple : multiples)
    rates.push_back(measure(base, source, machine, options, options.smallest_width * multiple));
  return rates;
}

double plan_seconds(const ClimbPlan& plan, const std::vector<Rate>& rates) {
  double seconds = plan.options.train_target
                       ? plan.target.flops() / rate_at(rates, plan.target.point.width)
                       : 0.0;
  for (const auto* stage : {&plan.sweeps, &plan.ladder})
    for (const PlannedRun& run : *stage) seconds += run.flops() / rate_at(rates, run.point.width);
  return seconds;
}

double flops_for_seconds(const RunConfig& base, int64_t vocabulary, ClimbOptions options,
                         const std::vector<Rate>& rates, double seconds) {
  double low = 0.0, high = 0.0;
  options.flops = 1e11;
  for (int doubling = 0; doubling < 60 && high == 0.0; ++doubling) {
    try {
      const ClimbPlan plan = plan_climb(base, vocabulary, options);
      if (plan_seconds(plan, rates) > seconds)
        high = options.flops;
      else if (plan.limited_by_text ||
               (options.target_width > 0 && plan.flops() < 0.25 * options.flops))
        return options.flops;  // more would buy nothing
      else
        low = options.flops;
    } catch (const Error&) {
      // Too small to climb yet.
    }
    options.flops *= 2.0;
  }
  if (low == 0.0) {
    options.flops = high;
    fail(
        "[climb] The budget is too small to climb. Received {:.0f} s; the smallest climb takes "
        "about {:.0f} s here. "
        "Raise --budget.",
        seconds, plan_seconds(plan_climb(base, vocabulary, options), rates));
  }
  for (int i = 0; i < 12; ++i) {
    options.flops = std::sqrt(low * high);
    (plan_seconds(plan_climb(base, vocabulary, options), rates) > seconds ? high : low) =
        options.flops;
  }
  return low;
}

}  // namespace rung

#include "plan/vocabulary.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/uncertainty.h"
#include "plan/search.h"

namespace rung {
namespace {

constexpr double least_entries = 2.0, most_entries = 1e8;

double by_loss(const Fit& fit, const std::vector<double>& c, double body, double flops,
               double width) {
  const auto loss = [&](double log_v) {
    const double parameters = std::exp(log_v) * width;
    const double at[] = {body, parameters, flops / (6.0 * (body + parameters))};
    return evaluate_law(*fit.law, c, at);
  };
  return std::exp(lowest_point(std::log(least_entries), std::log(most_entries), loss));
}

// Entries with N = Nnv + V d: V changes little with Nnv, so a few rounds settle it.
double within(const Fit& fit, const std::vector<double>& c, double n, double flops, double width) {
  double entries = 0.0;
  for (int round = 0; round < 60; ++round) {
    const double body = std::max(0.01 * n, n - entries * width);
    const double next = best_vocabulary(fit, c, body, flops, width);
    if (std::fabs(next - entries) < 1e-9 * next) return next;
    entries = round < 2 ? next : 0.5 * (entries + next);
  }
  return entries;
}

}  // namespace

double best_vocabulary(const Fit& fit, const std::vector<double>& c, double body, double flops,
                       double width) {
  if (fit.law->target == "L_u") return by_loss(fit, c, body, flops, width);
  const double at[] = {fit.law->inputs[0] == "F" ? flops : body};
  return evaluate_law(*fit.law, c, at) / width;
}

int64_t padded_vocabulary(double entries) {
  constexpr int64_t step = 128;
  return (static_cast<int64_t>(std::ceil(entries)) + step - 1) / step * step;
}

Advice advise_vocabulary(const Known& known, double n, double flops, double width, double level) {
  const Fit& fit = *known.fit;
  Advice advice{.name = "vocabulary", .source = known.name()};
  advice.value = within(fit, fit.values(), n, flops, width);
  std::vector<double> draws{advice.value};
  // Every resample would search again; a few hundred give the interval.
  const size_t count = std::min<size_t>(fit.samples.size(), 300);
  for (size_t s = 0; s < count; ++s) draws.push_back(within(fit, fit.samples[s], n, flops, width));
  advice.lo = std::min(advice.value, quantile(draws, 0.5 * (1.0 - level)));
  advice.hi = std::max(advice.value, quantile(draws, 0.5 * (1.0 + level)));
  advice.note =
      fmt::format("{} as a multiple of 128, at width {:g}", padded_vocabulary(advice.value), width);
  const std::string input = fit.law->inputs[0] == "F" ? "F" : "Nnv";
  if (const auto range = fit.ranges.find(input); range != fit.ranges.end()) {
    const double at = input == "F" ? flops : n - advice.value * width;
    if (at > 10.0 * range->second.max)
      advice.note +=
          fmt::format("; {} lies {:.3g} times beyond the data", input, at / range->second.max);
  }
  return advice;
}

}  // namespace rung

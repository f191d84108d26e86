#include "study/crossing.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/sorted_quantile.h"

namespace rung {
namespace {

constexpr double told = 0.95;

// Where the difference changes sign last, straight in the logarithm of the axis; 0: nowhere.
double last_crossing(const std::vector<double>& a, const std::vector<double>& b,
                     std::span<const double> axis) {
  for (size_t i = axis.size() - 1; i > 0; --i) {
    const double left = a[i - 1] - b[i - 1], right = a[i] - b[i];
    if ((left < 0.0) == (right < 0.0)) continue;
    const double share = left / (left - right);
    return axis[i - 1] * std::pow(axis[i] / axis[i - 1], share);
  }
  return 0.0;
}

Interval interval_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {sorted_quantile(values, 0.5), sorted_quantile(values, 0.05),
          sorted_quantile(values, 0.95)};
}

std::string number(double value) {
  return fmt::format("{:.2g}", value);
}

// One contender is told to be ahead from the first to the last of some points.
struct Stretch {
  size_t from = 0, to = 0;
  bool first = false;  // the first contender
};

std::vector<Stretch> told_stretches(const std::vector<double>& ahead) {
  std::vector<Stretch> stretches;
  for (size_t i = 0; i < ahead.size(); ++i) {
    if (ahead[i] < told && ahead[i] > 1.0 - told) continue;
    const bool first = ahead[i] >= told;
    if (!stretches.empty() && stretches.back().to + 1 == i && stretches.back().first == first)
      stretches.back().to = i;
    else
      stretches.push_back({i, i, first});
  }
  return stretches;
}

std::string verdict_of(const Comparison& c, const std::string& first, const std::string& second,
                       std::span<const double> axis, const std::string& unit) {
  const std::vector<Stretch> stretches = told_stretches(c.ahead);
  if (c.crossing) {
    const bool first_wins = c.ahead.back() >= told;
    return fmt::format("{} beats {} beyond {} {} (90 % interval {} .. {})",
                       first_wins ? first : second, first_wins ? second : first,
                       number(c.crossing->value), unit, number(c.crossing->lo),
                       number(c.crossing->hi));
  }
  if (stretches.empty())
    return fmt::format("{} or {}: cannot be told anywhere from {} to {} {}", first, second,
                       number(axis.front()), number(axis.back()), unit);
  std::string text;
  for (const Stretch& s : stretches)
    text += fmt::format("{}{} is ahead of {} from {} to {} {}", text.empty() ? "" : "; ",
                        s.first ? first : second, s.first ? second : first, number(axis[s.from]),
                        number(axis[s.to]), unit);
  const bool whole = stretches.size() == 1 && stretches.front().from == 0 &&
                     stretches.front().to + 1 == axis.size();
  return text + (whole ? "" : "; elsewhere it cannot be told");
}

// Least chi-square of L = E + A N^-a at fixed E, over a and A.
double least_square(std::span<const Rung> rungs, double E) {
  double least = INFINITY;
  for (double a = 0.02; a < 1.5; a *= 1.01) {
    double xx = 0.0, xy = 0.0, yy = 0.0;
    for (const Rung& r : rungs) {
      const double L = std::exp(r.y), weight = 1.0 / (r.variance * L * L);
      const double x = std::exp(-a * (r.x - rungs.back().x)), y = L - E;
      xx += weight * x * x, xy += weight * x * y, yy += weight * y * y;
    }
    least = std::min(least, yy - xy * xy / xx);
  }
  return least;
}

}  // namespace

Comparison compare_curves(const std::string& first, const LossCurve& a, const std::string& second,
                          const LossCurve& b, std::span<const double> axis,
                          const std::string& unit) {
  Comparison c;
  const size_t draws = std::min(a.draws.size(), b.draws.size());
  c.ahead.assign(axis.size(), 0.0);
  std::vector<double> crossings;
  for (size_t d = 0; d < draws; ++d) {
    for (size_t i = 0; i < axis.size(); ++i)
      c.ahead[i] += (a.draws[d][i] < b.draws[d][i] ? 1.0 : 0.0) / static_cast<double>(draws);
    if (const double x = last_crossing(a.draws[d], b.draws[d], axis); x > 0.0)
      crossings.push_back(x);
  }
  const bool begins = c.ahead.front() >= told && c.ahead.back() <= 1.0 - told;
  const bool ends = c.ahead.front() <= 1.0 - told && c.ahead.back() >= told;
  if (begins || ends) c.crossing = interval_of(std::move(crossings));
  c.verdict = verdict_of(c, first, second, axis, unit);
  return c;
}

double shared_offset_probability(std::span<const Rung> first, std::span<const Rung> second) {
  const double lowest = std::exp(std::min(first.back().y, second.back().y));
  double own_first = INFINITY, own_second = INFINITY, shared = INFINITY;
  constexpr int steps = 200;
  for (int i = 0; i < steps; ++i) {
    const double E = 0.995 * lowest * i / steps;
    const double a = least_square(first, E), b = least_square(second, E);
    own_first = std::min(own_first, a);
    own_second = std::min(own_second, b);
    shared = std::min(shared, a + b);
  }
  return std::erfc(std::sqrt(std::max(0.0, shared - own_first - own_second) / 2.0));
}

}  // namespace rung

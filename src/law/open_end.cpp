#include "law/open_end.h"

#include <algorithm>
#include <cmath>

#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr int end_steps = 16;
constexpr double close_to_end = 0.05;  // of the threshold

// The largest distance from the bound at which the deviance stays below the chi-square quantile.
// Each step starts from the nearest solution, so one polish is enough.
Solution walk_to_end(const Problem& problem, const Solution& optimum, int coefficient,
                     double level) {
  const double z = normal_quantile(0.5 * (1.0 + level)), threshold = z * z;
  const double from = optimum.theta[coefficient];
  const double direction = from <= problem.lo[coefficient] ? 1.0 : -1.0;
  double scale = unbounded;
  for (const double value : problem.data->loss) scale = std::min(scale, std::fabs(value));
  scale = std::max(scale, 1e-9);
  const double room = std::min(problem.hi[coefficient] - problem.lo[coefficient], 1e3 * scale);
  double below = 0.0, above = unbounded, at = std::min(room, 0.02 * scale);
  Solution best = optimum;
  for (int step = 0; step < end_steps; ++step) {
    Problem held = problem;
    held.lo[coefficient] = held.hi[coefficient] = from + direction * at;
    const Solution found = polish(held, best.theta);
    const double value =
        std::isfinite(found.objective) ? deviance(problem, optimum, found.objective) : unbounded;
    if (value <= threshold) {
      below = at;
      best = found;
      if (value > (1.0 - close_to_end) * threshold || below >= room) break;
    } else {
      above = at;
    }
    const double scaled = at * std::clamp(std::sqrt(threshold / std::max(value, 1e-12)), 0.2, 6.0);
    at = std::isinf(above) ? std::min(room, std::max(scaled, 1.2 * at))
         : scaled > below && scaled < above && step % 3 != 2 ? scaled
                                                             : 0.5 * (below + above);
  }
  return best;
}

}  // namespace

std::vector<OpenEnd> open_ends(const Problem& problem, const Solution& optimum, double level) {
  std::vector<OpenEnd> ends;
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& c = problem.law->coefficients[i];
    const double theta = optimum.theta[i];
    const bool inside = theta > problem.lo[i] && theta < problem.hi[i];
    if (inside || !c.linear || c.scale != Scale::identity || problem.fixed(i) || problem.tied(i))
      continue;
    const Vector end = coefficients_of(problem, walk_to_end(problem, optimum, i, level).theta);
    ends.push_back(
        {std::string(c.name), from_theta(c, theta), {end.data(), end.data() + end.size()}});
  }
  return ends;
}

}  // namespace rung

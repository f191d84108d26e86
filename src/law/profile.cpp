#include "law/profile.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "law/parallel.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr int side_points = 14, search_steps = 24;
constexpr double overshoot = 1.15;  // the profile is drawn this far beyond the crossing
constexpr double farthest_log = 20.0, farthest_relative = 1e3;  // where an open side is given up

// Solutions of one side, by distance from the optimum; each new one starts from its nearest.
class Side {
 public:
  Side(const Problem& problem, const Solution& optimum, int coefficient, double direction)
      : problem_(problem),
        optimum_(optimum),
        coefficient_(coefficient),
        direction_(direction),
        centre_(optimum.theta[coefficient]) {
    known_[0.0] = optimum;
  }

  double theta(double distance) const { return centre_ + direction_ * distance; }

  // How far the coefficient can go on this side.
  double room() const {
    const double bound = direction_ < 0 ? problem_.lo[coefficient_] : problem_.hi[coefficient_];
    const bool logs = problem_.law->coefficients[coefficient_].scale == Scale::log;
    const double far = logs ? farthest_log : farthest_relative * (std::fabs(centre_) + 1e-3);
    return std::min(std::fabs(bound - centre_), far);
  }

  double deviance_at(double distance) {
    const auto near = std::prev(known_.upper_bound(distance));
    Problem held = problem_;
    held.lo[coefficient_] = held.hi[coefficient_] = theta(distance);
    Solution found = polish(held, near->second.theta);
    const Solution again = solve(held, 2, true).solution;
    if (again.objective < found.objective) found = again;
    known_[distance] = found;
    return deviance(problem_, optimum_, found.objective);
  }

  const std::map<double, Solution>& known() const { return known_; }

 private:
  const Problem& problem_;
  const Solution& optimum_;
  int coefficient_;
  double direction_, centre_;
  std::map<double, Solution> known_;
};

// The distance at which the deviance reaches `threshold`; all the room where it never does. The
// root of the deviance is nearly linear in the distance, so steps are scaled by it.
double crossing(Side& side, double first, double threshold, bool& open) {
  const double room = side.room();
  double below = 0.0, above = INFINITY, at = std::min(first, room);
  open = false;
  for (int step = 0; step < search_steps; ++step) {
    const double value = side.deviance_at(at);
    if (std::fabs(value - threshold) < 1e-3 * threshold) return at;
    (value < threshold ? below : above) = at;
    if (below >= room) break;
    const double scaled = at * std::clamp(std::sqrt(threshold / std::max(value, 1e-12)), 0.2, 5.0);
    at =
        std::min(room, std::isinf(above) ? std::max(scaled, 1.05 * at)
                       : scaled > below && scaled < above && step % 3 != 2 ? scaled
                                                                           : 0.5 * (below + above));
  }
  open = std::isinf(above);
  return open ? room : 0.5 * (below + above);
}

// A first guess of the distance from the curvature of the objective.
double first_step(const Problem& problem, const Solution& optimum, int coefficient) {
  const double diagonal =
      derivatives_at(problem, optimum.theta).majorizer(coefficient, coefficient);
  const double size = std::fabs(optimum.theta[coefficient]) + 1e-3;
  if (!(diagonal > 0.0)) return 0.01 * size;
  return std::clamp(std::sqrt(optimum.objective / diagonal), 1e-9 * size, size);
}

}  // namespace

Profile profile(const Problem& problem, const Solution& optimum, int coefficient, double level) {
  const Coefficient& about = problem.law->coefficients[coefficient];
  const double z = normal_quantile(0.5 * (1.0 + level)),
               first = first_step(problem, optimum, coefficient);
  Profile result{.name = std::string(about.name), .threshold = z * z};
  std::map<double, double> points;  // theta -> objective
  for (const double direction : {-1.0, 1.0}) {
    Side side(problem, optimum, coefficient, direction);
    bool open = !(side.room() > 0.0);
    if (!open) {
      const double edge = crossing(side, first, result.threshold, open);
      const double reach = std::min(side.room(), overshoot * edge);
      for (int i = 1; i <= side_points; ++i) side.deviance_at(reach * i / side_points);
      for (const auto& [distance, solution] : side.known())
        if (distance <= reach) points[side.theta(distance)] = solution.objective;
      (direction < 0 ? result.lo : result.hi) = from_theta(about, side.theta(edge));
    }
    // Zero ends the domain of a factor; elsewhere a side that never crosses stays open.
    if (open) {
      const bool at_zero = direction < 0 && about.scale == Scale::identity && about.linear &&
                           problem.lo[coefficient] == 0.0;
      (direction < 0 ? result.lo : result.hi) = at_zero ? 0.0 : std::nan("");
    }
  }
  points[optimum.theta[coefficient]] = optimum.objective;
  for (const auto& [theta, objective] : points) {
    result.values.push_back(from_theta(about, theta));
    result.objective.push_back(objective);
    result.deviance.push_back(deviance(problem, optimum, objective));
  }
  return result;
}

std::vector<Profile> profile_all(const Problem& problem, const Solution& optimum,
                                 const FitOptions& options) {
  std::vector<int> free;
  for (int i = 0; i < problem.size(); ++i)
    if (!problem.fixed(i)) free.push_back(i);
  std::vector<Profile> profiles(free.size());
  parallel_for(free.size(), options.threads, [&](size_t i) {
    stop_if(options.interrupted);
    profiles[i] = profile(problem, optimum, free[i], options.level);
  });
  return profiles;
}

}  // namespace rung

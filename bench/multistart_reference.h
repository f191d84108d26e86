// The reference of the multi-start study: the best minimum that many random starts lead to.
//
// A start is polished (law/polish.h) until
// - it has converged within 1e-8;
// - it has settled where ten times the decrease still promised would leave it above the lowest
//   minimum known; or
// - it has come upon the paths of earlier starts (Paths), which it would follow.
// The lowest is polished to the end. The last two rules do not hold for the first `thorough`
// starts: they know nothing of what the fitter or another start found. `verify` polishes merged
// starts to the end all the same, without using what they find, and says what merging hid.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "core/random.h"
#include "law/polish.h"

namespace rung {

// Non-linear coefficients anywhere on the start grid's range, each linear term a random share of
// the typical loss.
inline Vector random_start(const Problem& problem, double typical_loss, Random& random) {
  const Law& law = *problem.law;
  const int k = problem.size();
  Vector theta(k);
  for (int i = 0; i < k; ++i) {
    const Coefficient& c = law.coefficients[i];
    double lo = problem.lo[i], hi = problem.hi[i];
    if (!c.linear && c.along_input < 0) {
      lo = std::max(lo, to_theta(c, c.grid_lo));
      hi = std::min(hi, to_theta(c, c.grid_hi));
    }
    theta[i] = c.linear ? to_theta(c, 1.0) : lo + (hi - lo) * random.uniform();
  }
  const size_t row = random.below(problem.data->rows());
  std::vector<double> jet(jet_size(1, k));
  const Vector at = coefficients_of(problem, theta);
  law.evaluate(law, at.data(), problem.data->x.data() + 2 * problem.data->inputs * row, 1, 1,
               jet.data());
  for (int i = 0; i < k; ++i) {
    if (!law.coefficients[i].linear) continue;
    const double term = std::pow(10.0, -2.0 * random.uniform()) * typical_loss;
    theta[i] = std::clamp(to_theta(law.coefficients[i], term / std::fabs(jet[1 + i])),
                          problem.lo[i], problem.hi[i]);
  }
  return theta;
}

// The cells of theta that earlier paths went through, and where those ended. A path that enters a
// cell through which at least two went and all of them to one minimum goes there too.
class Paths {
 public:
  // The end of all earlier paths through this place; NaN where there is no such end.
  double end_of(const Vector& theta) const {
    const auto at = cells_.find(key(theta));
    return at == cells_.end() || at->second.paths < 2 ? std::nan("") : at->second.end;
  }
  void pass(const std::vector<Vector>& path, double end) {
    std::vector<uint64_t> keys;
    for (const Vector& theta : path) keys.push_back(key(theta));
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    for (const uint64_t k : keys) {
      auto [at, fresh] = cells_.try_emplace(k, Cell{end, 1});
      if (fresh) continue;
      ++at->second.paths;
      // NaN once paths have parted.
      if (!(std::fabs(at->second.end - end) <= 1e-6 * std::fabs(end)))
        at->second.end = std::nan("");
    }
  }

 private:
  struct Cell {
    double end = 0.0;
    int paths = 0;
  };
  uint64_t key(const Vector& theta) const {
    uint64_t hash = 1469598103934665603u;
    for (const double value : theta) {
      hash ^= static_cast<uint64_t>(static_cast<int64_t>(std::floor(value / cell)));
      hash *= 1099511628211u;
      hash ^= hash >> 29;
    }
    return hash;
  }
  static constexpr double cell = 0.2;  // of a logarithm, or of what is searched as it is
  std::unordered_map<uint64_t, Cell> cells_;
};

struct Reference {
  double best = unbounded;  // of the objective
  double share = 0.0;       // of the thorough starts, that end in the best minimum
  int merged = 0;           // starts that an earlier path ended
  int strayed = 0;          // of these, verified: would have ended lower than that path
  int hidden = 0;           // of these: lower than the best
  bool complete = false;
};

struct Effort {
  int starts = 0, thorough = 0;
  bool verify = false;
  std::function<bool()> in_time;  // false gives up
};

// `known`: the minimum whose rivals are sought.
inline Reference multistart(const Problem& problem, Solution known, double typical_loss,
                            const Effort& effort, Random& random) {
  constexpr double near = 1e-6, converged = 1e-8;
  Reference result;
  Paths paths;
  std::vector<double> reached, unmerged;  // ends: of thorough starts, of verified merged ones
  for (int i = 0; i < effort.starts; ++i) {
    if (!effort.in_time()) return {};
    PolishOptions until{.settled_tolerance = converged};
    std::vector<Vector> path;
    double end = std::nan("");
    until.enough = [&](const Vector& theta) {
      path.push_back(theta);
      if (i >= effort.thorough) end = paths.end_of(theta);
      return std::isfinite(end);
    };
    if (i >= effort.thorough) until.abandon_above = known.objective * (1.0 + near);
    const Vector start = random_start(problem, typical_loss, random);
    const Solution found = polish(problem, start, until);
    if (found.stopped) {
      ++result.merged;
      if (effort.verify) unmerged.push_back(polish(problem, start).objective);
      if (effort.verify) result.strayed += unmerged.back() < end * (1.0 - near);
    } else {
      end = found.objective;
      if (i < effort.thorough) reached.push_back(end);
      if (end < known.objective) known = found;
    }
    paths.pass(path, end);
  }
  result.best = polish(problem, known.theta).objective;
  for (const double value : reached) result.share += value <= result.best * (1.0 + near);
  result.share /= static_cast<double>(reached.size());
  for (const double value : unmerged) result.hidden += value < result.best * (1.0 - near);
  result.complete = true;
  return result;
}

}  // namespace rung

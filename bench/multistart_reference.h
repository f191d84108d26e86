// The reference of the multi-start study: the best minimum that many random starts lead to.
//
// A start is polished (law/polish.h) until
// - it has converged within 1e-8;
// - it has settled where ten times the decrease still promised would leave it above the lowest
//   minimum known; or
// - it has come upon the paths of earlier starts (Paths), which it would follow; the cells in which
//   paths meet are wider where all thorough starts ended in one minimum.
// The lowest is polished to the end. The last two rules do not hold for the first `thorough`
// starts: they know nothing of what the fitter or another start found. `verify` polishes merged
// starts to the end all the same, without using what they find, and says what merging hid.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
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
  // `cell`: of a logarithm, or of what is searched as it is.
  explicit Paths(double cell) : cell_(cell) {}
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
      hash ^= static_cast<uint64_t>(static_cast<int64_t>(std::floor(value / cell_)));
      hash *= 1099511628211u;
      hash ^= hash >> 29;
    }
    return hash;
  }
  double cell_;
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

struct Path {
  std::vector<Vector> through;
  double end = 0.0;
};

// The thorough starts' paths, in cells as wide as their ends allow.
inline Paths laid(const std::vector<Path>& thorough, double near) {
  constexpr double narrow = 0.2, wide = 0.4;
  bool one = !thorough.empty();
  for (const Path& path : thorough)
    one &= std::fabs(path.end - thorough.front().end) <= near * std::fabs(thorough.front().end);
  Paths paths(one ? wide : narrow);
  for (const Path& path : thorough) paths.pass(path.through, path.end);
  return paths;
}

// `known`: the minimum whose rivals are sought.
inline Reference multistart(const Problem& problem, Solution known, double typical_loss,
                            const Effort& effort, Random& random) {
  constexpr double near = 1e-6, converged = 1e-8;
  Reference result;
  std::vector<Path> thorough;
  std::optional<Paths> paths;
  std::vector<double> unmerged;  // ends of verified merged starts
  for (int i = 0; i < effort.starts; ++i) {
    if (!effort.in_time()) return {};
    if (i == effort.thorough) paths = laid(thorough, near);
    PolishOptions until{.settled_tolerance = converged};
    Path path{.end = std::nan("")};
    until.enough = [&](const Vector& theta) {
      path.through.push_back(theta);
      if (paths) path.end = paths->end_of(theta);
      return std::isfinite(path.end);
    };
    if (paths) until.abandon_above = known.objective * (1.0 + near);
    const Vector start = random_start(problem, typical_loss, random);
    const Solution found = polish(problem, start, until);
    if (found.stopped) {
      ++result.merged;
      if (effort.verify) unmerged.push_back(polish(problem, start).objective);
      if (effort.verify) result.strayed += unmerged.back() < path.end * (1.0 - near);
    } else {
      path.end = found.objective;
      if (found.objective < known.objective) known = found;
    }
    if (paths)
      paths->pass(path.through, path.end);
    else
      thorough.push_back(std::move(path));
  }
  result.best = polish(problem, known.theta).objective;
  for (const Path& path : thorough) result.share += path.end <= result.best * (1.0 + near);
  result.share /= static_cast<double>(thorough.size());
  for (const double value : unmerged) result.hidden += value < result.best * (1.0 - near);
  result.complete = true;
  return result;
}

}  // namespace rung

// The reference of the multi-start study: the best minimum that many random starts lead to.
//
// A start is polished (law/polish.h) until
// - it has converged within 1e-8;
// - it has settled where ten times the decrease still promised would leave it above the lowest
//   minimum known; or
// - it has come upon the paths of earlier starts (Paths), which it would follow; the cells in which
//   paths meet are wider where all thorough starts ended in one minimum.
// The lowest is polished to the end. The last two rules do not hold for the first `thorough`
// starts: they know nothing of what the fitter or another start found. In sets of many rows the
// later starts are first polished on an even choice of the rows (`lead`), to the minimum of these
// or upon earlier paths there, and from that minimum on all rows as any other start. `verify`
// polishes merged starts from where they began, on all rows and to the end all the same, without
// using what they find, and says what leading and merging hid.
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
  size_t lead = 0;  // rows that lead the starts beyond the thorough ones first; 0: none do
  bool verify = false;
  std::function<bool()> in_time;  // false gives up
};

struct Path {
  std::vector<Vector> through;
  double end = 0.0;
};

// The descents of one problem: each to a minimum, or until it comes upon earlier paths.
class Descents {
 public:
  explicit Descents(const Problem& problem) : problem_(problem) {}
  // From here on a path may end upon these and later ones.
  void know(const std::vector<Path>& earlier, double cell) {
    paths_.emplace(cell);
    for (const Path& path : earlier) keep(path);
  }
  // `path` becomes the way, and where it comes upon earlier paths (Solution::stopped) their end.
  Solution descend(const Vector& start, double abandon_above, Path& path) const {
    constexpr double converged = 1e-8;
    path = {.end = std::nan("")};
    PolishOptions until{.settled_tolerance = converged, .abandon_above = abandon_above};
    until.enough = [&](const Vector& theta) {
      path.through.push_back(theta);
      if (paths_) path.end = paths_->end_of(theta);
      return std::isfinite(path.end);
    };
    return polish(problem_, start, until);
  }
  void keep(const Path& path) {
    if (paths_) paths_->pass(path.through, path.end);
  }

 private:
  const Problem& problem_;
  std::optional<Paths> paths_;
};

// Cells for the paths of later starts: as wide as the thorough ones' ends allow.
inline double cell_of(const std::vector<Path>& thorough, double near) {
  constexpr double narrow = 0.2, wide = 0.4;
  bool one = !thorough.empty();
  for (const Path& path : thorough)
    one &= std::fabs(path.end - thorough.front().end) <= near * std::fabs(thorough.front().end);
  return one ? wide : narrow;
}

// `known`: the minimum whose rivals are sought.
inline Reference multistart(const Problem& problem, Solution known, double typical_loss,
                            const Effort& effort, Random& random) {
  constexpr double near = 1e-6;
  const bool lead = effort.lead > 0 && effort.lead < problem.data->rows();
  const Observations few = lead ? thinned(*problem.data, effort.lead) : Observations{};
  Problem small = problem;
  small.data = &few;
  Descents on_all(problem), on_few(small);
  Reference result;
  std::vector<Path> thorough;
  std::vector<double> unmerged;  // ends of verified merged starts
  for (int i = 0; i < effort.starts; ++i) {
    if (!effort.in_time()) return {};
    if (i == effort.thorough) {
      on_all.know(thorough, cell_of(thorough, near));
      on_few.know({}, cell_of(thorough, near));
    }
    const bool rival = i >= effort.thorough;
    const Vector start = random_start(problem, typical_loss, random);
    Path led, path;
    Solution found{.theta = start};
    if (rival && lead) {
      found = on_few.descend(start, unbounded, led);
      path.end = led.end;
    }
    if (!found.stopped) {
      found = on_all.descend(found.theta, rival ? known.objective * (1.0 + near) : unbounded, path);
      if (!found.stopped) path.end = found.objective;
      if (!found.stopped && found.objective < known.objective) known = found;
    }
    if (found.stopped) {
      ++result.merged;
      if (effort.verify) unmerged.push_back(polish(problem, start).objective);
      if (effort.verify) result.strayed += unmerged.back() < path.end * (1.0 - near);
    }
    on_all.keep(path);
    on_few.keep({led.through, path.end});
    if (!rival) thorough.push_back(std::move(path));
  }
  result.best = polish(problem, known.theta).objective;
  for (const Path& path : thorough) result.share += path.end <= result.best * (1.0 + near);
  result.share /= static_cast<double>(thorough.size());
  for (const double value : unmerged) result.hidden += value < result.best * (1.0 - near);
  result.complete = true;
  return result;
}

}  // namespace rung

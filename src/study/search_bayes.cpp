// Bayesian search: a Gaussian process with a Matern 5/2 kernel, one length for all keys in the unit
// cube and a noise share, both by marginal likelihood on a grid.
#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/number.h"
#include "core/random.h"
#include "study/search_stage.h"

namespace rung {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

double matern(const VectorXd& a, const VectorXd& b, double length) {
  const double r = std::sqrt(5.0) * (a - b).norm() / length;
  return (1.0 + r + r * r / 3.0) * std::exp(-r);
}

// Of losses standardised to mean 0 and deviation 1.
struct Process {
  std::vector<VectorXd> at;
  double length = 0.5, noise = 0.01;
  Eigen::LLT<MatrixXd> factor;
  VectorXd weights;
  double evidence = -INFINITY;

  struct Belief {
    double mean, deviation;
  };
  Belief believe(const VectorXd& x) const {
    VectorXd k(static_cast<Eigen::Index>(at.size()));
    for (size_t i = 0; i < at.size(); ++i)
      k[static_cast<Eigen::Index>(i)] = matern(at[i], x, length);
    const double variance = 1.0 - k.dot(factor.solve(k));
    return {k.dot(weights), std::sqrt(std::max(variance, 1e-12))};
  }
};

Process process_with(const std::vector<VectorXd>& at, const VectorXd& y, double length,
                     double noise) {
  Process p{.at = at, .length = length, .noise = noise};
  const auto n = static_cast<Eigen::Index>(at.size());
  MatrixXd k(n, n);
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < n; ++j)
      k(i, j) = matern(at[static_cast<size_t>(i)], at[static_cast<size_t>(j)], length) +
                (i == j ? noise : 0.0);
  p.factor.compute(k);
  p.weights = p.factor.solve(y);
  const MatrixXd lower = p.factor.matrixL();
  p.evidence = -0.5 * y.dot(p.weights) - lower.diagonal().array().log().sum();
  return p;
}

Process fit_process(const std::vector<VectorXd>& at, const VectorXd& y) {
  Process best;
  for (const double length : {0.15, 0.25, 0.4, 0.65, 1.0, 1.6})
    for (const double noise : {1e-4, 1e-3, 1e-2, 1e-1}) {
      Process p = process_with(at, y, length, noise);
      if (p.evidence > best.evidence) best = std::move(p);
    }
  return best;
}

double expected_improvement(const Process::Belief& belief, double best) {
  const double z = (best - belief.mean) / belief.deviation;
  const double density = std::exp(-0.5 * z * z) / std::sqrt(2.0 * std::numbers::pi);
  const double below = 0.5 * std::erfc(-z / std::numbers::sqrt2);
  return belief.deviation * (z * below + density);
}

// A point's place in the unit cube.
VectorXd place(const std::vector<bool>& continuous, std::span<const Setting> over,
               const SearchPoint& point) {
  VectorXd x(static_cast<Eigen::Index>(over.size()));
  for (size_t i = 0; i < over.size(); ++i) {
    const Setting& setting = over[i];
    double& u = x[static_cast<Eigen::Index>(i)];
    if (continuous[i]) {
      const auto [low, high] = ends_of(setting);
      u = high > low ? std::log(*parse_number(point[i].second) / low) / std::log(high / low) : 0.0;
      continue;
    }
    const auto found = std::find(setting.values.begin(), setting.values.end(), point[i].second);
    u = static_cast<double>(found - setting.values.begin()) /
        std::max(1.0, static_cast<double>(setting.values.size()) - 1.0);
  }
  return x;
}

// Standardised losses; a diverged point counts as the worst that did not.
VectorXd standardised(const std::vector<double>& losses) {
  double worst = -INFINITY;
  for (const double loss : losses)
    if (std::isfinite(loss)) worst = std::max(worst, loss);
  VectorXd y(static_cast<Eigen::Index>(losses.size()));
  for (size_t i = 0; i < losses.size(); ++i)
    y[static_cast<Eigen::Index>(i)] =
        std::isfinite(losses[i]) ? losses[i] : (std::isfinite(worst) ? worst : 0.0);
  y.array() -= y.mean();
  const double deviation = std::sqrt(y.squaredNorm() / static_cast<double>(y.size()));
  return deviation > 0.0 ? VectorXd(y / deviation) : y;
}

}  // namespace

SearchOutcome bayesian_search(std::span<const RunConfig> seeds, std::span<const Setting> over,
                              int64_t points, uint64_t seed, const TrainStage& train) {
  if (points < 8)
    fail_usage("[sweep] A Bayesian search wants 8 points or more. Received {}.", points);
  constexpr int64_t candidates = 2000;
  const std::vector<bool> continuous = continuous_keys(seeds.front(), over);
  Search search(seeds, train);
  const int64_t batch = points / 4;
  std::vector<SearchPoint> next = draw_points(seeds, over, batch, seed);
  std::vector<VectorXd> at;
  std::vector<double> losses;
  for (int64_t round = 1;; ++round) {
    const std::vector<double> found = search.stage(fmt::format("batch-{}", round), next);
    if (found.empty()) break;
    losses.insert(losses.end(), found.begin(), found.end());
    for (const SearchPoint& point : next) at.push_back(place(continuous, over, point));
    const int64_t left = points - static_cast<int64_t>(losses.size());
    if (left <= 0) break;
    VectorXd y = standardised(losses);
    const Process fitted = fit_process(at, y);
    std::vector<VectorXd> believed = at;
    const std::vector<SearchPoint> pool =
        draw_points(seeds, over, candidates, seed + static_cast<uint64_t>(round));
    std::vector<VectorXd> places;
    for (const SearchPoint& point : pool) places.push_back(place(continuous, over, point));
    next.clear();
    for (int64_t i = 0; i < std::min(batch, left); ++i) {
      const Process process = process_with(believed, y, fitted.length, fitted.noise);
      size_t chosen = 0;
      double most = -1.0;
      const double least = y.minCoeff();
      for (size_t c = 0; c < pool.size(); ++c) {
        const double gain = expected_improvement(process.believe(places[c]), least);
        if (gain > most) most = gain, chosen = c;
      }
      next.push_back(pool[chosen]);
      believed.push_back(places[chosen]);
      y.conservativeResize(y.size() + 1);
      y[y.size() - 1] = process.believe(believed.back()).mean;
    }
  }
  return search.outcome;
}

}  // namespace rung

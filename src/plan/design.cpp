#include "plan/design.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/objective.h"
#include "law/uncertainty.h"
#include "plan/information.h"

namespace rung {
namespace {

struct Candidate {
  const Point* at = nullptr;
  Eigen::VectorXd z;  // whitened gradient over the residual's deviation
  double flops = 0.0;
};

struct Task {
  std::vector<Candidate> candidates;
  Eigen::VectorXd target;
  Criterion criterion;
  size_t runs;
  double flops;
};

using Choice = std::vector<size_t>;

Eigen::MatrixXd inverse_of(const Task& task, const Choice& chosen) {
  const Eigen::Index k = task.target.size();
  Eigen::MatrixXd information = Eigen::MatrixXd::Identity(k, k);
  for (const size_t i : chosen)
    information += task.candidates[i].z * task.candidates[i].z.transpose();
  return information.inverse();
}

// What is made least: ln of the target's variance, or of the determinant.
double value_of(const Task& task, const Eigen::MatrixXd& inverse) {
  return task.criterion == Criterion::target
             ? std::log(std::max(1e-300, task.target.dot(inverse * task.target)))
             : std::log(std::max(1e-300, inverse.determinant()));
}

// The same once a run is added, by a rank-one update.
double value_with(const Task& task, const Eigen::MatrixXd& inverse, const Eigen::VectorXd& z) {
  const Eigen::VectorXd step = inverse * z;
  const double grown = 1.0 + z.dot(step);
  if (task.criterion == Criterion::determinant)
    return std::log(std::max(1e-300, inverse.determinant())) - std::log(grown);
  const double left = task.target.dot(inverse * task.target);
  const double removed = std::pow(task.target.dot(step), 2) / grown;
  return std::log(std::max(1e-300, left - removed));
}

double cost_of(const Task& task, const Choice& chosen) {
  double sum = 0.0;
  for (const size_t i : chosen) sum += task.candidates[i].flops;
  return sum;
}

Choice greedy(const Task& task, bool by_flops) {
  Choice chosen;
  double left = task.flops;
  while (chosen.size() < task.runs) {
    const Eigen::MatrixXd inverse = inverse_of(task, chosen);
    const double now = value_of(task, inverse);
    size_t best = task.candidates.size();
    double most = 0.0;
    for (size_t i = 0; i < task.candidates.size(); ++i) {
      if (task.candidates[i].flops > left) continue;
      const double gain = now - value_with(task, inverse, task.candidates[i].z);
      const double score = by_flops ? gain / task.candidates[i].flops : gain;
      if (score > most) most = score, best = i;
    }
    if (best == task.candidates.size()) break;
    chosen.push_back(best);
    left -= task.candidates[best].flops;
  }
  return chosen;
}

// One run after the other is replaced by what serves better, until nothing does.
void exchange(const Task& task, Choice& chosen) {
  constexpr int most_rounds = 50;
  for (int round = 0; round < most_rounds; ++round) {
    bool better = false;
    for (size_t slot = 0; slot < chosen.size(); ++slot) {
      Choice others = chosen;
      others.erase(others.begin() + static_cast<long>(slot));
      const double left = task.flops - cost_of(task, others);
      const Eigen::MatrixXd inverse = inverse_of(task, others);
      double least = value_with(task, inverse, task.candidates[chosen[slot]].z) - 1e-9;
      for (size_t i = 0; i < task.candidates.size(); ++i) {
        if (task.candidates[i].flops > left) continue;
        const double value = value_with(task, inverse, task.candidates[i].z);
        if (value < least) least = value, chosen[slot] = i, better = true;
      }
    }
    if (!better) return;
  }
}

Choice choose(const Task& task) {
  Choice best;
  double least = unbounded;
  for (const bool by_flops : {false, true}) {
    Choice chosen = greedy(task, by_flops);
    exchange(task, chosen);
    const double value = value_of(task, inverse_of(task, chosen));
    if (value < least - 1e-6) least = value, best = std::move(chosen);
  }
  return best;
}

// In the order in which each removes most a FLOP of what is left.
void list_runs(const Task& task, Choice chosen, Design& design) {
  const double before = task.target.squaredNorm();
  Choice taken;
  while (!chosen.empty()) {
    const Eigen::MatrixXd inverse = inverse_of(task, taken);
    const double now = task.target.dot(inverse * task.target);
    size_t best = 0;
    double most = -unbounded;
    for (size_t i = 0; i < chosen.size(); ++i) {
      const Candidate& candidate = task.candidates[chosen[i]];
      const double score =
          (value_of(task, inverse) - value_with(task, inverse, candidate.z)) / candidate.flops;
      if (score > most) most = score, best = i;
    }
    const Candidate& candidate = task.candidates[chosen[best]];
    taken.push_back(chosen[best]);
    chosen.erase(chosen.begin() + static_cast<long>(best));
    const double left = task.target.dot(inverse_of(task, taken) * task.target);
    design.runs.push_back({.at = *candidate.at,
                           .flops = candidate.flops,
                           .sd = std::sqrt(left / before),
                           .share = (now - left) / before});
    design.flops += candidate.flops;
  }
  design.sd_ratio = design.runs.empty() ? 1.0 : design.runs.back().sd;
  design.log_determinant = -std::log(inverse_of(task, taken).determinant());
}

// The law's interval at the target, and what it shrinks to.
void fill_intervals(const Fit& fit, const DesignOptions& options, Design& design) {
  design.loss = predict_loss(fit, options.target);
  const std::vector<double> draws = predict_draws(fit, options.target, false);
  design.before = {std::min(design.loss, quantile(draws, 0.5 * (1.0 - options.level))),
                   std::max(design.loss, quantile(draws, 0.5 * (1.0 + options.level)))};
  const auto shrink = [&](double end) {
    return fit.objective.log_residual ? design.loss * std::pow(end / design.loss, design.sd_ratio)
                                      : design.loss + design.sd_ratio * (end - design.loss);
  };
  design.after = {shrink(design.before.min), shrink(design.before.max)};
}

double flops_of(const Point& at) {
  if (const auto c = at.find("C"); c != at.end()) return c->second;
  const auto n = at.find("N"), d = at.find("D");
  if (n == at.end() || d == at.end())
    fail_usage("[plan] A candidate's cost is 6 N D: give N and D, or C.");
  return 6.0 * n->second * d->second;
}

}  // namespace

double effective_deviation(const Fit& fit) {
  const std::vector<double>& noise = fit.noise;
  if (noise.empty()) return fit.residual_rms;
  const double count = static_cast<double>(noise.size());
  const double spread = quantile(noise, 0.75) - quantile(noise, 0.25);
  // psi' is its slope over a window, as a kink has none of its own.
  const double window = std::max(spread * std::pow(count, -0.2), 1e-12);
  double squares = 0.0, slope = 0.0;
  for (const double r : noise) {
    squares += std::pow(penalty_jet(fit.objective, r).slope, 2) / count;
    slope += (penalty_jet(fit.objective, r + window).slope -
              penalty_jet(fit.objective, r - window).slope) /
             (2.0 * window * count);
  }
  return slope > 0.0 ? std::sqrt(squares) / slope : fit.residual_rms;
}

std::vector<Point> candidate_grid(const Fit& fit, const Point& target, double max_run_flops) {
  constexpr int steps = 20;
  const auto n = fit.ranges.find("N"), d = fit.ranges.find("D");
  if (n == fit.ranges.end() || d == fit.ranges.end())
    fail_usage("[plan] {} knows no range of N and D for a grid of candidates. Give --candidates.",
               fit.law->name);
  // Far from the tokens a parameter of the data nothing says that the law holds.
  Range ratio{0.5, 5000.0};
  if (const auto known = fit.ranges.find("D/N"); known != fit.ranges.end())
    ratio = {0.5 * known->second.min, 2.0 * known->second.max};
  const auto spread = [](const Range& range, int i) {
    return range.min * std::pow(10.0 * range.max / range.min, i / (steps - 1.0));
  };
  std::vector<Point> grid;
  for (int i = 0; i < steps; ++i)
    for (int j = 0; j < steps; ++j) {
      Point at = target;
      at["N"] = spread(n->second, i);
      at["D"] = spread(d->second, j);
      at["C"] = 6.0 * at["N"] * at["D"];
      if (at.contains("M")) at["M"] = at["D"] / at["N"];
      const double each = at["D"] / at["N"];
      if (at["C"] <= max_run_flops && each >= ratio.min && each <= ratio.max)
        grid.push_back(std::move(at));
    }
  return grid;
}

Design design_runs(const Fit& fit, const DesignOptions& options) {
  if (options.runs == 0) fail_usage("[plan] next is at least 1. Received 0.");
  const Information information(fit);
  const double most = std::min(options.max_run_flops, options.flops);
  const std::vector<Point> points =
      options.candidates.empty() ? candidate_grid(fit, options.target, most) : options.candidates;
  Design design{.residual_sd = effective_deviation(fit)};
  if (!(design.residual_sd > 0.0))
    refuse("[plan] The fit leaves no residuals to tell the noise of a run from. Received {}.",
           design.residual_sd);
  Task task{.candidates = {},
            .target = information.gradient(options.target),
            .criterion = options.criterion,
            .runs = options.runs,
            .flops = options.flops};
  for (const Point& point : points) {
    const double flops = flops_of(point);
    if (flops > most || !(flops > 0.0)) continue;
    task.candidates.push_back({&point, information.gradient(point) / design.residual_sd, flops});
  }
  design.candidates = task.candidates.size();
  if (task.candidates.empty())
    fail_usage("[plan] No candidate is as cheap as a run may be. Received a limit of {:.3g} FLOPs.",
               most);
  const Choice chosen = choose(task);
  list_runs(task, chosen, design);
  fill_intervals(fit, options, design);
  if (design.runs.size() < options.runs)
    design.remarks.push_back(
        fmt::format("{} of {} runs fit the FLOPs allowed.", design.runs.size(), options.runs));
  return design;
}

}  // namespace rung

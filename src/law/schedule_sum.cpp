#include "law/schedule_sum.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rung {
namespace {

constexpr size_t smallest = 16;      // blocks up to this size keep their single steps
constexpr double smoothness = 1e-8;  // largest error of ln lr inside a block, of the peak's share
// A rate of 0 has no logarithm; a term at this fraction of the peak has long saturated.
constexpr double least_rate = 1e-15;

double place(size_t step, bool logarithmic) {
  const double k = static_cast<double>(step);
  return logarithmic ? std::log(k) : k;
}

// Chebyshev points of [first, last] rounded to steps; empty where two of them meet.
std::vector<size_t> chebyshev_steps(size_t first, size_t last, bool logarithmic, size_t order) {
  const double lo = place(first, logarithmic), hi = place(last, logarithmic);
  std::vector<size_t> steps;
  for (size_t j = 0; j < order; ++j) {
    const double angle = (static_cast<double>(j) + 0.5) * std::numbers::pi / double(order);
    const double at = 0.5 * (lo + hi) - 0.5 * (hi - lo) * std::cos(angle);
    steps.push_back(static_cast<size_t>(std::lround(logarithmic ? std::exp(at) : at)));
    if (j > 0 && steps[j] <= steps[j - 1]) return {};
  }
  return steps;
}

// Lagrange's basis polynomials over the nodes (barycentric form).
class Basis {
 public:
  Basis(const std::vector<size_t>& steps, bool logarithmic) : logarithmic_(logarithmic) {
    for (const size_t step : steps) places_.push_back(place(step, logarithmic));
    const double span = places_.back() - places_.front();
    for (size_t j = 0; j < places_.size(); ++j) {
      double scale = 1.0;
      for (size_t i = 0; i < places_.size(); ++i)
        if (i != j) scale *= span / (places_[j] - places_[i]);
      scale_.push_back(scale);
    }
  }
  void at(size_t step, std::vector<double>& values) const {
    const double x = place(step, logarithmic_);
    double sum = 0.0;
    for (size_t j = 0; j < places_.size(); ++j) {
      if (places_[j] == x) {
        std::fill(values.begin(), values.end(), 0.0);
        values[j] = 1.0;
        return;
      }
      values[j] = scale_[j] / (x - places_[j]);
      sum += values[j];
    }
    for (double& value : values) value /= sum;
  }

 private:
  bool logarithmic_;
  std::vector<double> places_, scale_;
};

}  // namespace

ScheduleSum::ScheduleSum(const RateSchedule& schedule) : lr_(schedule.lr) {
  const double peak = *std::max_element(lr_.begin(), lr_.end());
  double sum = 0.0;
  for (const double rate : lr_) {
    sum += rate;
    total_.push_back(sum);
    highest_.push_back(highest_.empty() ? rate : std::max(rate, highest_.back()));
    log_lr_.push_back(std::log(std::max(rate, least_rate * peak)));
  }
  if (last_step() >= 1) root_ = build(1, last_step(), schedule.knots);
}

int ScheduleSum::build(size_t first, size_t last, const std::vector<size_t>& knots) {
  Block block{.first = first, .last = last};
  for (size_t step = first; step <= last && !block.changes; ++step)
    block.changes = change(step) != 0.0;
  const size_t size = last - first + 1;
  if (block.changes && size > smallest) {
    const bool cut = std::upper_bound(knots.begin(), knots.end(), first) !=
                     std::lower_bound(knots.begin(), knots.end(), last);
    // In ln k: only what reaches down towards step 0.
    if (!cut)
      block.smooth = replace_by_nodes(block, false) ||
                     (first <= smallest && size > 2 * smallest && replace_by_nodes(block, true));
    size_t middle = first + size / 2 - 1;  // last step of the left half
    if (cut) {
      auto knot = std::lower_bound(knots.begin(), knots.end(), middle);
      if (knot == knots.end() || *knot >= last) --knot;
      middle = std::max(first, *knot);
    } else if (first == 1 && size > 4 * smallest && !block.smooth) {
      middle = smallest / 2;  // leaves a warm-up that is smooth in ln k
    }
    block.left = build(first, middle, knots);
    block.right = build(middle + 1, last, knots);
  }
  blocks_.push_back(std::move(block));
  return static_cast<int>(blocks_.size()) - 1;
}

bool ScheduleSum::replace_by_nodes(Block& block, bool logarithmic) const {
  const auto steps = chebyshev_steps(block.first, block.last, logarithmic, logarithmic ? 12 : 8);
  if (steps.empty()) return false;
  const Basis basis(steps, logarithmic);
  std::vector<double> weights(steps.size(), 0.0), values(steps.size());
  double error = 0.0, share = 0.0;
  for (size_t step = block.first; step <= block.last; ++step) {
    basis.at(step, values);
    double log_lr = 0.0;
    for (size_t j = 0; j < steps.size(); ++j) {
      weights[j] += change(step) * values[j];
      log_lr += values[j] * log_lr_[steps[j]];
    }
    error = std::max(error, std::fabs(log_lr - log_lr_[step]));
    share += std::fabs(change(step));
  }
  const double peak = *std::max_element(lr_.begin() + block.first - 1, lr_.begin() + block.last);
  if (!(error * std::min(1.0, share / peak) < smoothness)) return false;
  block.nodes.clear();
  for (size_t j = 0; j < steps.size(); ++j) block.nodes.push_back({weights[j], steps[j]});
  return true;
}

void ScheduleSum::push(size_t node, double weight, size_t step, SumLists& terms) const {
  terms.weight.push_back(weight);
  terms.log_lr.push_back(log_lr_[node]);
  terms.sum.push_back(total_[step] - total_[node - 1]);
}

void ScheduleSum::visit(int index, size_t step, SumLists& terms) const {
  const Block& block = blocks_[index];
  if (block.first > step || !block.changes) return;
  const size_t size = block.last - block.first + 1;
  if (block.smooth && block.last + size <= step + 1) {
    for (const Node& node : block.nodes) push(node.step, node.weight, step, terms);
    return;
  }
  if (block.left >= 0) {
    visit(block.left, step, terms);
    visit(block.right, step, terms);
    return;
  }
  for (size_t at = block.first; at <= std::min(block.last, step); ++at)
    if (change(at) != 0.0) push(at, change(at), step, terms);
}

void ScheduleSum::append_terms(size_t step, SumLists& terms) const {
  if (root_ >= 0) visit(root_, step, terms);
}

}  // namespace rung

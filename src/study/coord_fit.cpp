// Slopes over width and depth, and what they are judged by.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "law/regression.h"
#include "law/student.h"
#include "study/coord.h"

namespace rung {
namespace {

using Shape = std::pair<int64_t, int64_t>;

// ln of one quantity of one tensor at one horizon: [shape][seed]. Shapes that lack a seed, or a
// positive value, are left out.
struct Logs {
  std::vector<Shape> shapes;
  std::vector<std::vector<double>> by_seed;  // [seed][shape]
  std::vector<double> mean;                  // [shape]
};

Logs logs_of(const std::vector<const CoordSample*>& samples, Quantity quantity) {
  std::map<Shape, std::map<uint64_t, double>> cells;
  std::set<uint64_t> seeds;
  for (const CoordSample* s : samples) {
    const double value = s->value[static_cast<size_t>(quantity)];
    seeds.insert(s->seed);
    if (value > 0.0 && std::isfinite(value)) cells[{s->width, s->depth}][s->seed] = std::log(value);
  }
  Logs logs;
  logs.by_seed.resize(seeds.size());
  for (const auto& [shape, by_seed] : cells) {
    if (by_seed.size() != seeds.size()) continue;
    logs.shapes.push_back(shape);
    double sum = 0.0;
    size_t k = 0;
    for (const auto& [seed, value] : by_seed) {
      logs.by_seed[k++].push_back(value);
      sum += value;
    }
    logs.mean.push_back(sum / static_cast<double>(by_seed.size()));
  }
  return logs;
}

// Columns 1, ln width, ln depth; an axis with one value is left out. `axes` names the columns from
// the second on.
Eigen::MatrixXd design_of(const std::vector<Shape>& shapes, std::vector<std::string>& axes) {
  std::set<int64_t> widths, depths;
  for (const auto& [width, depth] : shapes) widths.insert(width), depths.insert(depth);
  if (widths.size() > 1) axes.emplace_back("width");
  if (depths.size() > 1) axes.emplace_back("depth");
  Eigen::MatrixXd design(static_cast<Eigen::Index>(shapes.size()),
                         static_cast<Eigen::Index>(axes.size() + 1));
  for (size_t i = 0; i < shapes.size(); ++i) {
    const auto row = static_cast<Eigen::Index>(i);
    design(row, 0) = 1.0;
    for (size_t a = 0; a < axes.size(); ++a)
      design(row, static_cast<Eigen::Index>(a + 1)) =
          std::log(static_cast<double>(axes[a] == "width" ? shapes[i].first : shapes[i].second));
  }
  return design;
}

// Half of the interval by the scatter of each seed's own slope.
double half_by_seeds(const std::vector<double>& slopes, double probability) {
  if (slopes.size() < 2) return 0.0;
  const auto n = static_cast<double>(slopes.size());
  return student_quantile(probability, static_cast<int>(slopes.size()) - 1) * deviation_of(slopes) /
         std::sqrt(n);
}

void fit_one(const std::vector<const CoordSample*>& samples, Quantity quantity,
             const CoordPlan& plan, std::vector<CoordSlope>& slopes) {
  const Logs logs = logs_of(samples, quantity);
  if (logs.shapes.size() < 2) return;
  std::vector<std::string> axes;
  const Eigen::MatrixXd design = design_of(logs.shapes, axes);
  const LinearFit fit = least_squares(design, logs.mean);
  if (axes.empty() || !fit.determined) return;
  std::vector<Eigen::VectorXd> own;
  for (const std::vector<double>& values : logs.by_seed)
    own.push_back(least_squares(design, values).coefficients);
  const double probability = 0.5 + 0.5 * plan.level;
  for (size_t a = 0; a < axes.size(); ++a) {
    const auto at = static_cast<Eigen::Index>(a + 1);
    std::vector<double> by_seed;
    for (const Eigen::VectorXd& c : own) by_seed.push_back(c(at));
    double half = half_by_seeds(by_seed, probability);
    if (fit.freedom > 0)
      half = std::max(
          half, student_quantile(probability, fit.freedom) * std::sqrt(fit.covariance(at, at)));
    const double slope = fit.coefficients(at);
    slopes.push_back({.tensor = samples.front()->tensor,
                      .quantity = quantity,
                      .axis = axes[a],
                      .horizon = samples.front()->horizon,
                      .slope = slope,
                      .lo = slope - half,
                      .hi = slope + half});
  }
}

}  // namespace

std::vector<CoordSlope> fit_slopes(const std::vector<CoordSample>& samples, const CoordPlan& plan) {
  std::map<std::pair<std::string, int64_t>, std::vector<const CoordSample*>> groups;
  for (const CoordSample& s : samples) groups[{s.tensor, s.horizon}].push_back(&s);
  std::vector<CoordSlope> slopes;
  for (const auto& [key, group] : groups)
    for (const Quantity quantity : quantities) fit_one(group, quantity, plan, slopes);
  return slopes;
}

void judge(CoordSlope& slope, double tolerance) {
  if (!slope.promised) return;
  const bool beyond =
      slope.lo > slope.promised->hi + tolerance || slope.hi < slope.promised->lo - tolerance;
  slope.verdict = beyond                                    ? Verdict::fail
                  : 0.5 * (slope.hi - slope.lo) > tolerance ? Verdict::wide
                                                            : Verdict::pass;
}

}  // namespace rung

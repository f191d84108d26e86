#include "law/regression.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace rung {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

LinearFit least_squares(const Eigen::MatrixXd& design, const std::vector<double>& y,
                        const std::vector<double>& weight) {
  const int n = static_cast<int>(design.rows()), k = static_cast<int>(design.cols());
  Eigen::VectorXd scale = Eigen::VectorXd::Ones(n), goal(n);
  for (int i = 0; i < n; ++i) {
    if (!weight.empty()) scale[i] = std::sqrt(weight[i]);
    goal[i] = scale[i] * y[i];
  }
  const Eigen::MatrixXd weighted = scale.asDiagonal() * design;
  const Eigen::ColPivHouseholderQR<Eigen::MatrixXd> factor(weighted);
  LinearFit fit{.coefficients = factor.solve(goal), .freedom = n - k};
  fit.determined = factor.rank() == k;
  fit.variance = (goal - weighted * fit.coefficients).squaredNorm() / std::max(1, fit.freedom);
  const Eigen::MatrixXd gram = weighted.transpose() * weighted;
  fit.covariance = fit.determined && fit.freedom > 0
                       ? Eigen::MatrixXd(fit.variance * gram.inverse())
                       : Eigen::MatrixXd::Constant(k, k, unknown);
  return fit;
}

CurveMinimum parabola_minimum(const std::vector<double>& x, const std::vector<double>& y,
                              int min_points, double largest_se) {
  CurveMinimum result;
  std::vector<double> distinct = x;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end(),
                             [](double a, double b) { return b - a < 1e-9 * (1 + std::fabs(a)); }),
                 distinct.end());
  if (static_cast<int>(distinct.size()) < std::max(3, min_points)) {
    result.problem = "few-points";
    return result;
  }
  const double middle = 0.5 * (distinct.front() + distinct.back());
  result.width = distinct.back() - distinct.front();
  Eigen::MatrixXd design(x.size(), 3);
  for (size_t i = 0; i < x.size(); ++i)
    design.row(i) << 1.0, x[i] - middle, (x[i] - middle) * (x[i] - middle);
  const LinearFit fit = least_squares(design, y);
  const double b = fit.coefficients[1], c = fit.coefficients[2];
  result.freedom = fit.freedom;
  result.curvature = 2.0 * c;
  const double vertex = -b / (2.0 * c);
  result.at = middle + vertex;
  result.value = fit.coefficients[0] + 0.5 * b * vertex;
  result.offset = 2.0 * vertex / result.width;
  for (size_t i = 0; i < x.size(); ++i) {
    const double t = x[i] - middle;
    result.fitted.push_back(fit.coefficients[0] + b * t + c * t * t);
  }
  const Eigen::Vector2d slope(-1.0 / (2.0 * c), b / (2.0 * c * c));
  result.at_se = std::sqrt(slope.dot(fit.covariance.bottomRightCorner(2, 2) * slope));
  if (!(c > 0.0))
    result.problem = "not-convex";
  else if (!(result.at > distinct.front() && result.at < distinct.back()))
    result.problem = "edge-minimum";
  else if (result.at_se > largest_se)
    result.problem = "flat-minimum";
  return result;
}

Akima::Akima(std::vector<double> x, std::vector<double> y) : x_(std::move(x)), y_(std::move(y)) {
  const int n = static_cast<int>(x_.size());
  // Secants with two more on either side, continued as a parabola would.
  std::vector<double> m(n + 3);
  for (int i = 0; i + 1 < n; ++i) m[i + 2] = (y_[i + 1] - y_[i]) / (x_[i + 1] - x_[i]);
  m[1] = 2.0 * m[2] - m[3];
  m[0] = 2.0 * m[1] - m[2];
  m[n + 1] = 2.0 * m[n] - m[n - 1];
  m[n + 2] = 2.0 * m[n + 1] - m[n];
  double largest = 0.0;
  for (int i = 0; i < n; ++i)
    largest = std::max(largest, std::fabs(m[i + 3] - m[i + 2]) + std::fabs(m[i + 1] - m[i]));
  slope_.resize(n);
  for (int i = 0; i < n; ++i) {
    const double right = std::fabs(m[i + 3] - m[i + 2]), left = std::fabs(m[i + 1] - m[i]);
    slope_[i] = right + left > 1e-9 * largest
                    ? (right * m[i + 1] + left * m[i + 2]) / (right + left)
                    : 0.5 * (m[i + 1] + m[i + 2]);
  }
}

double Akima::piece(size_t i, double x) const {
  const double h = x_[i + 1] - x_[i], t = (x - x_[i]) / h;
  const double rise = y_[i + 1] - y_[i];
  const double c2 = 3.0 * rise - h * (2.0 * slope_[i] + slope_[i + 1]);
  const double c3 = h * (slope_[i] + slope_[i + 1]) - 2.0 * rise;
  return y_[i] + t * (h * slope_[i] + t * (c2 + t * c3));
}

double Akima::operator()(double x) const {
  const auto above = std::upper_bound(x_.begin() + 1, x_.end() - 1, x);
  return piece(static_cast<size_t>(above - x_.begin()) - 1, x);
}

double Akima::minimum() const {
  const size_t lowest = std::min_element(y_.begin(), y_.end()) - y_.begin();
  double best = x_[lowest], value = y_[lowest];
  for (size_t i = 0; i + 1 < x_.size(); ++i) {
    const double h = x_[i + 1] - x_[i], rise = y_[i + 1] - y_[i];
    const double c1 = h * slope_[i];
    const double c2 = 3.0 * rise - h * (2.0 * slope_[i] + slope_[i + 1]);
    const double c3 = h * (slope_[i] + slope_[i + 1]) - 2.0 * rise;
    const double discriminant = c2 * c2 - 3.0 * c1 * c3;
    if (discriminant < 0.0) continue;
    // The stationary point with positive curvature, in the form that survives c3 = 0.
    const double t = -c1 / (c2 + std::sqrt(discriminant));
    if (!(t >= 0.0 && t <= 1.0)) continue;
    const double at = x_[i] + t * h, here = piece(i, at);
    if (here < value) value = here, best = at;
  }
  return best;
}

double minimise(const std::function<double(double)>& f, double lo, double hi, int scan) {
  double best = lo, least = f(lo);
  const double step = (hi - lo) / scan;
  for (int i = 1; i <= scan; ++i) {
    const double at = lo + i * step, value = f(at);
    if (value < least) least = value, best = at;
  }
  double a = std::max(lo, best - step), b = std::min(hi, best + step);
  const double golden = 0.5 * (std::sqrt(5.0) - 1.0);
  double left = b - golden * (b - a), right = a + golden * (b - a);
  double f_left = f(left), f_right = f(right);
  for (int i = 0; i < 60 && b - a > 1e-11 * (1.0 + std::fabs(a)); ++i) {
    if (f_left < f_right) {
      b = right, right = left, f_right = f_left;
      f_left = f(left = b - golden * (b - a));
    } else {
      a = left, left = right, f_left = f_right;
      f_right = f(right = a + golden * (b - a));
    }
  }
  return 0.5 * (a + b);
}

std::vector<std::vector<size_t>> group_values(const std::vector<double>& values, double tolerance) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<std::vector<size_t>> groups;
  for (const size_t at : order) {
    const bool same =
        !groups.empty() && values[at] <= values[groups.back().front()] * (1.0 + tolerance);
    if (!same) groups.emplace_back();
    groups.back().push_back(at);
  }
  return groups;
}

std::vector<std::vector<size_t>> group_densest(const std::vector<double>& values,
                                               double tolerance) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<std::vector<size_t>> groups;
  while (!order.empty()) {
    size_t first = 0, count = 0;
    for (size_t lo = 0, hi = 0; lo < order.size(); ++lo) {
      while (hi < order.size() && values[order[hi]] <= values[order[lo]] * (1.0 + tolerance)) ++hi;
      if (hi - lo > count) count = hi - lo, first = lo;
    }
    const auto begin = order.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = begin + static_cast<std::ptrdiff_t>(count);
    groups.emplace_back(begin, end);
    order.erase(begin, end);
  }
  std::sort(groups.begin(), groups.end(),
            [&](const auto& a, const auto& b) { return values[a.front()] < values[b.front()]; });
  return groups;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double deviation_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double sum = 0.0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / std::max(1.0, static_cast<double>(values.size()) - 1.0));
}

double geometric_mean(const std::vector<double>& values, const std::vector<size_t>& positions) {
  double sum = 0.0;
  for (const size_t at : positions) sum += std::log(values[at]);
  return std::exp(sum / static_cast<double>(positions.size()));
}

std::vector<double> pick(const std::vector<double>& values, const std::vector<size_t>& positions) {
  std::vector<double> result;
  result.reserve(positions.size());
  for (const size_t at : positions) result.push_back(values[at]);
  return result;
}

std::vector<double> logs_of(const std::vector<double>& values) {
  std::vector<double> result;
  result.reserve(values.size());
  for (const double v : values) result.push_back(std::log(v));
  return result;
}

}  // namespace rung

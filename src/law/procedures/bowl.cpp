#include "law/procedures/bowl.h"

#include <algorithm>
#include <cmath>

#include "law/regression.h"

namespace rung {

Bowl fit_bowl(const RawRows& rows, const std::vector<size_t>& members) {
  Bowl bowl;
  const std::vector<double> x = logs_of(pick(rows["lr"], members));
  const std::vector<double> y = logs_of(pick(rows["bs"], members));
  const double mx = mean_of(x), my = mean_of(y);
  Eigen::MatrixXd design(members.size(), 6);
  for (size_t i = 0; i < members.size(); ++i) {
    const double u = x[i] - mx, v = y[i] - my;
    design.row(i) << 1.0, u, v, u * u, u * v, v * v;
  }
  const LinearFit fit = least_squares(design, pick(rows["L"], members));
  if (!fit.determined || fit.freedom < 1) {
    bowl.problem = "few-points";
    return bowl;
  }
  const Eigen::VectorXd& c = fit.coefficients;
  Eigen::Matrix2d hessian;
  hessian << 2.0 * c[3], c[4], c[4], 2.0 * c[5];
  if (!(hessian.determinant() > 0.0 && c[3] > 0.0)) {
    bowl.problem = "not-convex";
    return bowl;
  }
  const Eigen::Vector2d place = -hessian.inverse() * Eigen::Vector2d(c[1], c[2]);
  bowl.log_rate = mx + place[0];
  bowl.log_batch = my + place[1];
  bowl.value = c[0] + 0.5 * (c[1] * place[0] + c[2] * place[1]);
  const auto inside = [](double at, const std::vector<double>& values) {
    const auto [lo, hi] = std::minmax_element(values.begin(), values.end());
    return at > *lo && at < *hi;
  };
  if (!inside(bowl.log_rate, x) || !inside(bowl.log_batch, y)) bowl.problem = "edge-minimum";
  const Eigen::VectorXd fitted = design * c;
  bowl.fitted.assign(fitted.data(), fitted.data() + fitted.size());
  bowl.freedom = fit.freedom;
  return bowl;
}

}  // namespace rung

#include "study/bend.h"

#include <Eigen/Dense>
#include <cmath>
#include <vector>

#include "study/rungs.h"

namespace rung {
namespace {

// y = level + slope x + curvature x^2, x from the largest rung on, weighted by 1 / variance.
struct BendParabola {
  double level, slope, curvature, curvature_se;
};

BendParabola parabola_through(const std::vector<Rung>& rungs) {
  Eigen::Matrix3d normal = Eigen::Matrix3d::Zero();
  Eigen::Vector3d right = Eigen::Vector3d::Zero();
  for (const Rung& r : rungs) {
    const double x = r.x - rungs.back().x;
    const Eigen::Vector3d row(1.0, x, x * x);
    normal += row * row.transpose() / r.variance;
    right += row * r.y / r.variance;
  }
  const Eigen::Matrix3d covariance = normal.inverse();
  const Eigen::Vector3d fit = covariance * right;
  return {fit[0], fit[1], fit[2], std::sqrt(covariance(2, 2))};
}

}  // namespace

double bend_deviation(std::span<const RunRecord> ladder,
                      const std::map<int64_t, double>& deviations, int64_t above, int64_t N,
                      double predicted) {
  const std::vector<Rung> rungs = rung_means(ladder, deviations, above);
  if (rungs.size() < 4) return 0.0;
  const BendParabola p = parabola_through(rungs);
  if (!(p.curvature < -2.0 * p.curvature_se)) return 0.0;
  const double tangent = p.level + p.slope * (std::log(static_cast<double>(N)) - rungs.back().x);
  return std::abs(std::log(predicted) - tangent) / 1.645;
}

}  // namespace rung

// What a run tells about the coefficients of a fit, in coordinates where their present covariance
// is the unit matrix.
#pragma once
#include <Eigen/Dense>
#include <vector>

#include "law/fit.h"
#include "law/predict.h"

namespace rung {

class Information {
 public:
  explicit Information(const Fit& fit);

  // The residual's gradient at a point, whitened: its square is the law's variance there.
  Eigen::VectorXd gradient(const Point& at) const;
  Eigen::Index size() const { return whitening_.cols(); }

 private:
  const Fit& fit_;
  std::vector<int> free_;
  Eigen::MatrixXd whitening_;  // covariance = whitening whitening^T
};

}  // namespace rung

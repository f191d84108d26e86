#include "plan/information.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/problem.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

// A resample whose coefficient lies this many typical deviations off is a refit that went astray.
constexpr double astray = 8.0;

std::vector<std::vector<double>> thetas(const Fit& fit, const std::vector<int>& free) {
  std::vector<std::vector<double>> columns;
  for (const int i : free) {
    columns.emplace_back();
    for (const auto& sample : fit.samples)
      columns.back().push_back(to_theta(fit.law->coefficients[i], sample[i]));
  }
  return columns;
}

Eigen::MatrixXd covariance_of(const std::vector<std::vector<double>>& columns, size_t samples) {
  const auto k = static_cast<Eigen::Index>(columns.size());
  std::vector<double> centre, scale;
  for (const auto& column : columns) {
    centre.push_back(quantile(column, 0.5));
    std::vector<double> off;
    for (const double value : column) off.push_back(std::fabs(value - centre.back()));
    scale.push_back(1.4826 * quantile(off, 0.5));
  }
  std::vector<Eigen::VectorXd> kept;
  for (size_t s = 0; s < samples; ++s) {
    Eigen::VectorXd at(k);
    bool good = true;
    for (Eigen::Index i = 0; i < k; ++i) {
      at[i] = columns[i][s];
      good &= std::isfinite(at[i]) && std::fabs(at[i] - centre[i]) <= astray * scale[i] + 1e-300;
    }
    if (good) kept.push_back(at);
  }
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(k);
  for (const auto& at : kept) mean += at / static_cast<double>(kept.size());
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(k, k);
  for (const auto& at : kept)
    covariance += (at - mean) * (at - mean).transpose() /
                  std::max(1.0, static_cast<double>(kept.size()) - 1.0);
  return covariance;
}

}  // namespace

Information::Information(const Fit& fit) : fit_(fit) {
  for (size_t i = 0; i < fit.coefficients.size(); ++i)
    if (!fit.coefficients[i].fixed && fit.coefficients[i].tied_to.empty())
      free_.push_back(static_cast<int>(i));
  if (fit.samples.size() < 10 || free_.empty())
    refuse(
        "[plan] A design needs the fit's resamples. Received {}. Fit with --bootstrap and --out.",
        fit.samples.size());
  Eigen::MatrixXd covariance = covariance_of(thetas(fit, free_), fit.samples.size());
  // Resamples with an uncertain noise scale spread more than their coefficients' own covariance.
  double factor = 0.0;
  for (const double f : fit.sample_noise)
    factor += f * f / static_cast<double>(fit.sample_noise.size());
  if (factor > 1.0) covariance /= factor;
  const Eigen::VectorXd scale = covariance.diagonal().cwiseSqrt().cwiseMax(1e-150);
  const Eigen::MatrixXd scaled =
      scale.cwiseInverse().asDiagonal() * covariance * scale.cwiseInverse().asDiagonal();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(scaled);
  whitening_ = scale.asDiagonal() * eigen.eigenvectors() *
               eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt().asDiagonal();
}

Eigen::VectorXd Information::gradient(const Point& at) const {
  const Law& law = *fit_.law;
  const size_t k = law.coefficients.size(), width = law.inputs.size();
  std::vector<double> inputs(2 * width), out(jet_size(1, k));
  for (size_t i = 0; i < width; ++i) {
    auto found = at.find(fit_.inputs[i]);
    if (found == at.end()) found = at.find(std::string(law.inputs[i]));
    if (found == at.end())
      fail_usage("[plan] {} also reads {}. Give it for every candidate and the target.", law.name,
                 fit_.inputs[i]);
    inputs[i] = found->second;
    inputs[width + i] = std::log(found->second);
  }
  const std::vector<double> c = fit_.values();
  law.evaluate(law, c.data(), inputs.data(), 1, 1, out.data());
  Eigen::VectorXd g = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(free_.size()));
  for (size_t i = 0; i < k; ++i) {
    int leader = static_cast<int>(i);
    if (!fit_.coefficients[i].tied_to.empty())
      leader = find_coefficient(law, fit_.coefficients[i].tied_to);
    const auto place = std::find(free_.begin(), free_.end(), leader);
    if (place == free_.end()) continue;
    double slope = out[1 + i] * (law.coefficients[i].scale == Scale::log ? c[i] : 1.0);
    if (fit_.objective.log_residual) slope /= out[0];
    g[place - free_.begin()] += std::isfinite(slope) ? slope : 0.0;
  }
  return whitening_.transpose() * g;
}

}  // namespace rung

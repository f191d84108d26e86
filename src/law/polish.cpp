#include "law/polish.h"

#include <algorithm>
#include <cmath>

namespace rung {
namespace {

Vector clamp(const Problem& problem, Vector theta) {
  for (int i = 0; i < problem.size(); ++i)
    theta[i] = std::clamp(theta[i], problem.lo[i], problem.hi[i]);
  return theta;
}

// Coefficients that may move: not fixed, and not at a bound that the gradient pushes against.
std::vector<int> movable(const Problem& problem, const Vector& theta, const Vector& gradient) {
  std::vector<int> result;
  for (int i = 0; i < problem.size(); ++i) {
    const bool stuck = (theta[i] <= problem.lo[i] && gradient[i] >= 0.0) ||
                       (theta[i] >= problem.hi[i] && gradient[i] <= 0.0);
    if (!problem.fixed(i) && !stuck) result.push_back(i);
  }
  return result;
}

// The symmetric matrix with its negative eigenvalues turned positive.
Matrix upright(const Matrix& matrix) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(matrix);
  return eigen.eigenvectors() * eigen.eigenvalues().cwiseAbs().asDiagonal() *
         eigen.eigenvectors().transpose();
}

// Solves (H + mu M) step = -g on the movable coefficients; false when that matrix is not positive
// definite. The majorizer M is singular along coefficients that the data cannot tell apart: where
// H is negative there, no damping helps, and from mu = 1 on H is turned upright instead.
bool damped_step(const Derivatives& at, const std::vector<int>& free, double mu, Vector& step) {
  const int n = static_cast<int>(free.size());
  Vector gradient(n), scale(n);
  for (int i = 0; i < n; ++i) {
    // A coefficient without influence (scale 0) stays where it is.
    const double metric = at.majorizer(free[i], free[i]);
    scale[i] = metric > 0.0 ? 1.0 / std::sqrt(metric) : 0.0;
    gradient[i] = at.gradient[free[i]] * scale[i];
  }
  const Matrix hessian = scale.asDiagonal() * at.hessian(free, free) * scale.asDiagonal();
  Matrix damping = scale.asDiagonal() * at.majorizer(free, free) * scale.asDiagonal() * mu;
  for (int i = 0; i < n; ++i) damping(i, i) += 1e-14 * (1.0 + mu);
  Eigen::LLT<Matrix> factor(hessian + damping);
  if (factor.info() != Eigen::Success) {
    if (mu < 1.0 || !hessian.allFinite()) return false;
    for (int i = 0; i < n; ++i) damping(i, i) += 1e-6 * mu;
    factor.compute(upright(hessian) + damping);
    if (factor.info() != Eigen::Success) return false;
  }
  const Vector solved = factor.solve(gradient);
  step = Vector::Zero(at.gradient.size());
  for (int i = 0; i < n; ++i) step[free[i]] = -solved[i] * scale[i];
  return step.allFinite();
}

constexpr double least_damping = 1e-9, most_damping = 1e9;

Solution newton(const Problem& problem, const Vector& start, const PolishOptions& options) {
  Solution best{.theta = clamp(problem, start)};
  best.objective = objective_at(problem, best.theta);
  if (!std::isfinite(best.objective)) return best;
  double mu = 0.0;
  while (best.steps < options.max_steps) {
    const Derivatives at = derivatives_at(problem, best.theta);
    const std::vector<int> free = movable(problem, best.theta, at.gradient);
    bool accepted = false;
    while (!accepted) {
      Vector step;
      if (free.empty() || mu > most_damping) {
        best.converged = true;
        return best;
      }
      if (!damped_step(at, free, mu, step)) {
        mu = std::max(10.0 * mu, 1e-6);
        continue;
      }
      const Vector theta = clamp(problem, best.theta + step);
      const Vector moved = theta - best.theta;
      const double promised = -(at.gradient.dot(moved) + 0.5 * moved.dot(at.hessian * moved));
      if (std::fabs(at.gradient.dot(moved)) <=
          options.tolerance * (std::fabs(best.objective) + 1e-300)) {
        best.converged = true;
        return best;
      }
      const double value = objective_at(problem, theta);
      const double gained = best.objective - value;
      if (gained > 0.0) {
        accepted = true;
        best.theta = theta;
        best.objective = value;
        if (gained > 0.7 * promised)
          mu = mu < least_damping ? 0.0 : 0.1 * mu;
        else if (gained < 0.2 * promised)
          mu = std::max(4.0 * mu, 1e-4);
      } else {
        mu = std::max(6.0 * mu, 1e-4);
      }
    }
    ++best.steps;
  }
  return best;
}

}  // namespace

Solution polish(const Problem& problem, const Vector& start, const PolishOptions& options) {
  if (problem.objective.penalty != Penalty::asymmetric) return newton(problem, start, options);
  Problem smooth = problem;
  Solution best{.theta = clamp(problem, start)};
  best.objective = objective_at(problem, best.theta);
  Vector theta = best.theta;
  int steps = 0;
  for (double width = 1e-2; width > 1e-9; width *= 0.2) {
    smooth.objective.smoothing = width;
    const Solution found =
        newton(smooth, theta, {.max_steps = options.max_steps, .tolerance = 1e-9});
    theta = found.theta;
    steps += found.steps;
    const double exact = objective_at(problem, theta);
    if (exact <= best.objective) best = {theta, exact, steps, found.converged};
  }
  best.steps = steps;
  return best;
}

}  // namespace rung

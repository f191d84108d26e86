#include "law/polish.h"

#include <algorithm>
#include <cmath>

#include "law/slide.h"

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
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(matrix);
  return eigen.eigenvectors() * eigen.eigenvalues().cwiseAbs().asDiagonal() *
         eigen.eigenvectors().transpose();
}

// Newton's system on the movable coefficients, in units where the majorizer M has a unit diagonal.
struct System {
  std::vector<int> free;
  Vector scale, gradient;
  Matrix curvature;  // H + mu M
};

// False when H + mu M is not positive definite. M is singular along coefficients that the data
// cannot tell apart: where H is negative there, no damping helps, and from mu = 1 on H is turned
// upright instead.
bool damp(const Derivatives& at, double mu, System& system) {
  const std::vector<int>& free = system.free;
  const int n = static_cast<int>(free.size());
  system.scale.resize(n);
  for (int i = 0; i < n; ++i) {
    // A coefficient without influence (scale 0) stays where it is.
    const double metric = at.majorizer(free[i], free[i]);
    system.scale[i] = metric > 0.0 ? 1.0 / std::sqrt(metric) : 0.0;
  }
  const auto diagonal = system.scale.asDiagonal();
  system.gradient = diagonal * at.gradient(free);
  const Matrix hessian = diagonal * at.hessian(free, free) * diagonal;
  Matrix damping = diagonal * at.majorizer(free, free) * diagonal * mu;
  for (int i = 0; i < n; ++i) damping(i, i) += 1e-14 * (1.0 + mu);
  system.curvature = hessian + damping;
  if (Eigen::LLT<Matrix>(system.curvature).info() == Eigen::Success) return true;
  if (mu < 1.0 || !hessian.allFinite()) return false;
  for (int i = 0; i < n; ++i) damping(i, i) += 1e-6 * mu;
  system.curvature = upright(hessian) + damping;
  return Eigen::LLT<Matrix>(system.curvature).info() == Eigen::Success;
}

// The system's solution as a new theta. Coefficients that would cross a bound stop at it, and the
// others are solved for again.
Vector bounded_step(const Problem& problem, const Vector& theta, const System& system) {
  const int n = static_cast<int>(system.free.size());
  Vector step = Vector::Zero(n);
  std::vector<int> active(n);
  for (int i = 0; i < n; ++i) active[i] = i;
  Vector result = theta;
  while (!active.empty()) {
    const Vector pull = system.gradient + system.curvature * step;  // step is 0 on the active ones
    const Matrix part = system.curvature(active, active);
    const Vector solved = part.llt().solve(-pull(active));
    std::vector<int> inside;
    for (size_t k = 0; k < active.size(); ++k) {
      const int i = active[k], at = system.free[i];
      result[at] = theta[at] + solved[k] * system.scale[i];
      if (result[at] >= problem.lo[at] && result[at] <= problem.hi[at]) {
        inside.push_back(i);
        continue;
      }
      result[at] = std::clamp(result[at], problem.lo[at], problem.hi[at]);
      step[i] = (result[at] - theta[at]) / system.scale[i];
    }
    if (inside.size() == active.size()) break;
    active = inside;
  }
  return result;
}

constexpr double least_damping = 1e-9, most_damping = 1e9;

// Where the parabola has mispredicted what a step gains: the linear coefficients to their optimum.
void keep_to_valley(const Problem& problem, const std::vector<int>& linear, Vector& theta,
                    double& value) {
  if (linear.empty() || !std::isfinite(value)) return;
  Vector slid = theta;
  if (!slide(problem, linear, slid)) return;
  const double lower = objective_at(problem, slid);
  if (lower < value) theta = slid, value = lower;
}

// Whether the last steps followed their parabolas: see PolishOptions.
struct Settling {
  double last_promise = 0.0;  // of a full Newton step that kept it; else 0

  bool settled(double mu, double promised) const {
    return mu == 0.0 && promised > 0.0 && promised < 0.25 * last_promise;
  }
  void record(double mu, double promised, double gained) {
    const bool kept = mu == 0.0 && gained > 0.7 * promised && gained < 1.5 * promised;
    last_promise = kept ? promised : 0.0;
  }
};

Solution newton(const Problem& problem, const Vector& start, const PolishOptions& options) {
  Solution best{.theta = clamp(problem, start)};
  best.objective = objective_at(problem, best.theta);
  if (!std::isfinite(best.objective)) return best;
  double mu = 0.0;
  Settling settling;
  const std::vector<int> linear = sliding_coefficients(problem);
  while (best.steps < options.max_steps) {
    const Derivatives at = derivatives_at(problem, best.theta);
    System system{.free = movable(problem, best.theta, at.gradient)};
    bool accepted = false;
    while (!accepted) {
      if (system.free.empty() || mu > most_damping) {
        best.converged = true;
        return best;
      }
      if (!damp(at, mu, system)) {
        mu = std::max(10.0 * mu, 1e-6);
        continue;
      }
      Vector theta = bounded_step(problem, best.theta, system);
      const Vector moved = theta - best.theta;
      const double promised = -(at.gradient.dot(moved) + 0.5 * moved.dot(at.hessian * moved));
      if (std::fabs(at.gradient.dot(moved)) <=
          options.tolerance * (std::fabs(best.objective) + 1e-300)) {
        best.converged = true;
        return best;
      }
      const bool settled = settling.settled(mu, promised);
      if (settled && best.objective - 10.0 * promised > options.abandon_above) return best;
      double value = objective_at(problem, theta);
      if (mu > 0.0 || best.objective - value < 0.7 * promised)
        keep_to_valley(problem, linear, theta, value);
      const double gained = best.objective - value;
      if (gained > 0.0) {
        accepted = true;
        settling.record(mu, promised, gained);
        best.theta = theta;
        best.objective = value;
        if (settled && promised <= options.settled_tolerance * std::fabs(value)) {
          best.converged = true;
          return best;
        }
        if (gained > 0.7 * promised)
          mu = mu < least_damping ? 0.0 : 0.1 * mu;
        else if (gained < 0.2 * promised)
          mu = std::max(4.0 * mu, 1e-4);
      } else {
        mu = std::max(6.0 * mu, 1e-4);
      }
    }
    ++best.steps;
    if (options.enough && options.enough(best.theta)) {
      best.stopped = true;
      return best;
    }
  }
  return best;
}

}  // namespace

Solution polish(const Problem& problem, const Vector& start, const PolishOptions& options) {
  if (problem.objective.penalty != Penalty::kinked) return newton(problem, start, options);
  Problem smooth = problem;
  Solution best{.theta = clamp(problem, start)};
  best.objective = objective_at(problem, best.theta);
  Vector theta = best.theta;
  int steps = 0;
  for (double width = 1e-2; width > 1e-9; width *= 0.2) {
    smooth.objective.smoothing = width;
    const Solution found =
        newton(smooth, theta,
               {.max_steps = options.max_steps, .tolerance = 1e-9, .enough = options.enough});
    theta = found.theta;
    steps += found.steps;
    const double exact = objective_at(problem, theta);
    if (exact <= best.objective) best = {theta, exact, steps, found.converged, found.stopped};
    if (found.stopped) break;
  }
  best.steps = steps;
  return best;
}

}  // namespace rung

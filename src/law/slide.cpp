#include "law/slide.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "law/points.h"

namespace rung {
namespace {

// The objective's parabola in the linear coefficients, from above: gram x = moment at its lowest.
struct Parabola {
  Matrix gram;
  Vector moment;
};

Parabola parabola_at(const Problem& problem, const std::vector<int>& linear, const Vector& c) {
  const Objective& objective = problem.objective;
  const Observations& data = *problem.data;
  const int n = static_cast<int>(linear.size());
  Parabola sum{Matrix::Zero(n, n), Vector::Zero(n)};
  std::array<double, max_coefficients> basis{}, moment{};
  std::array<double, max_coefficients * max_coefficients> gram{};
  for_points(*problem.law, data, c.data(), 1, [&](size_t first, size_t rows, const double* jet) {
    const PenaltyJet rho = penalty_at(objective, data, first, rows, jet[0]);
    const double scale = objective.log_residual ? 1.0 / jet[0] : 1.0;
    double* row = gram.data();
    for (int a = 0; a < n; ++a, row += n) {
      basis[a] = scale * jet[1 + linear[a]];
      moment[a] -= rho.slope * basis[a];
      const double touch = rho.majorizer * basis[a];
      for (int b = 0; b <= a; ++b) row[b] += touch * basis[b];
    }
  });
  for (int a = 0; a < n; ++a) {
    sum.moment[a] = moment[a];
    for (int b = 0; b <= a; ++b) sum.gram(a, b) = gram[a * n + b];
  }
  return sum;
}

// Its lowest point over the coefficients in `inside`, the others at `step`; false when singular.
bool solve_inside(const Parabola& at, const std::vector<int>& inside, Vector& step) {
  const int n = static_cast<int>(inside.size());
  Matrix gram(n, n);
  Vector right(n), metric(n);
  for (int a = 0; a < n; ++a)
    metric[a] = 1.0 / std::sqrt(std::max(at.gram(inside[a], inside[a]), 1e-300));
  for (int a = 0; a < n; ++a) {
    right[a] = at.moment[inside[a]];
    for (int b = 0; b < static_cast<int>(step.size()); ++b) {
      const double entry = b <= inside[a] ? at.gram(inside[a], b) : at.gram(b, inside[a]);
      const auto place = std::find(inside.begin(), inside.end(), b);
      if (place == inside.end())
        right[a] -= entry * step[b];
      else
        gram(a, place - inside.begin()) = entry * metric[a] * metric[place - inside.begin()];
    }
    right[a] *= metric[a];
  }
  const Eigen::LLT<Matrix> factor(gram);
  if (factor.info() != Eigen::Success) return false;
  const Vector solved = factor.solve(right);
  for (int a = 0; a < n; ++a) step[inside[a]] = metric[a] * solved[a];
  return true;
}

}  // namespace

std::vector<int> sliding_coefficients(const Problem& problem) {
  std::vector<int> result;
  if (problem.law->log_linear || !problem.priors.empty()) return result;
  for (int i = 0; i < problem.size(); ++i) {
    const auto leads = [&](int follower) {
      return problem.tied(follower) && problem.leader(follower) == i;
    };
    bool tied = problem.tied(i);
    for (int other = 0; other < problem.size(); ++other) tied = tied || leads(other);
    if (problem.law->coefficients[i].linear && !problem.fixed(i) && !tied) result.push_back(i);
  }
  return result;
}

bool slide(const Problem& problem, const std::vector<int>& linear, Vector& theta) {
  const Vector c = coefficients_of(problem, theta);
  const Parabola at = parabola_at(problem, linear, c);
  const int n = static_cast<int>(linear.size());
  Vector step = Vector::Zero(n);
  std::vector<int> inside;
  for (int a = 0; a < n; ++a) inside.push_back(a);
  Vector result = theta;
  while (!inside.empty()) {
    if (!solve_inside(at, inside, step)) return false;
    std::vector<int> left;
    for (const int a : inside) {
      const int i = linear[a];
      const Coefficient& k = problem.law->coefficients[i];
      const double value = c[i] + step[a];
      // A logarithm's term may vanish only slowly.
      const double wanted = k.scale == Scale::identity ? value
                            : value > 0.0              ? std::log(value)
                                                       : theta[i] - 2.0;
      result[i] = std::clamp(wanted, problem.lo[i], problem.hi[i]);
      if (result[i] == wanted && (k.scale == Scale::identity || value > 0.0))
        left.push_back(a);
      else
        step[a] = from_theta(k, result[i]) - c[i];
    }
    if (left.size() == inside.size()) break;
    inside = left;
  }
  if (!result.allFinite()) return false;
  theta = result;
  return true;
}

}  // namespace rung

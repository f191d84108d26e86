#include "law/problem.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "law/dual.h"
#include "law/points.h"

namespace rung {
namespace {

double total_weight(const Problem& problem) {
  if (!problem.objective.mean) return 1.0;
  double sum = 0.0;
  for (const double w : problem.data->weight) sum += w;
  return sum;
}

double prior_penalty(const Problem& problem, const Vector& theta) {
  double sum = 0.0;
  for (const ThetaPrior& prior : problem.priors) {
    const double z = (theta[prior.coefficient] - prior.mean) / prior.sd;
    sum += 0.5 * z * z;
  }
  return sum;
}

// Sums over points in natural coefficients; the matrices as lower triangles by rows, as a jet's.
struct Sums {
  explicit Sums(int k) {
    std::fill_n(gradient.begin(), k, 0.0);
    std::fill_n(hessian.begin(), triangle(k), 0.0);
    std::fill_n(majorizer.begin(), triangle(k), 0.0);
  }
  double value = 0.0;
  std::array<double, max_coefficients> gradient;
  std::array<double, triangle(max_coefficients)> hessian, majorizer;
};

// Adds a point's share; rho is what its rows add.
void add_point(const Objective& objective, const double* jet, size_t k, const PenaltyJet& rho,
               Sums& sum) {
  const double scale = objective.log_residual ? 1.0 / jet[0] : 1.0;
  sum.value += rho.value;
  const double first = rho.slope * scale;
  // d2 ln p = p''/p - (p'/p)(p'/p)^T
  const double bend = rho.curvature - (objective.log_residual ? rho.slope : 0.0);
  const double outer = bend * scale * scale;
  const double touch = rho.majorizer * scale * scale;
  const double* g = jet + 1;
  const double* h = jet + 1 + k;
  double* hessian = sum.hessian.data();
  double* majorizer = sum.majorizer.data();
  for (size_t i = 0; i < k; ++i) {
    sum.gradient[i] += first * g[i];
    const double bent = outer * g[i], touched = touch * g[i];
    for (size_t j = 0; j <= i; ++j) hessian[j] += bent * g[j] + first * h[j];
    for (size_t j = 0; j <= i; ++j) majorizer[j] += touched * g[j];
    h += i + 1, hessian += i + 1, majorizer += i + 1;
  }
}

// The lower triangles as matrices.
Derivatives unpacked(const Sums& sum, int k) {
  Derivatives result{sum.value, Vector::Zero(k), Matrix::Zero(k, k), Matrix::Zero(k, k)};
  for (int i = 0, at = 0; i < k; ++i) {
    result.gradient[i] = sum.gradient[i];
    for (int j = 0; j <= i; ++j, ++at) {
      result.hessian(i, j) = sum.hessian[at];
      result.majorizer(i, j) = sum.majorizer[at];
    }
  }
  return result;
}

// What a tied coefficient changes counts for the one that it follows (lower triangles).
void fold_ties(const Problem& problem, Derivatives& sum) {
  const int k = problem.size();
  for (Matrix* m : {&sum.hessian, &sum.majorizer}) {
    *m = m->selfadjointView<Eigen::Lower>();
    for (int i = 0; i < k; ++i) {
      if (!problem.tied(i)) continue;
      m->row(problem.leader(i)) += m->row(i);
      m->col(problem.leader(i)) += m->col(i);
      m->row(i).setZero();
      m->col(i).setZero();
    }
  }
  for (int i = 0; i < k; ++i) {
    if (!problem.tied(i)) continue;
    sum.gradient[problem.leader(i)] += sum.gradient[i];
    sum.gradient[i] = 0.0;
  }
}

// Chain rule from natural coefficients to theta, and the upper triangles.
void to_theta_scale(const Problem& problem, const Vector& c, Derivatives& sum) {
  const int k = problem.size();
  Vector slope = Vector::Ones(k);
  for (int i = 0; i < k; ++i)
    if (problem.law->coefficients[i].scale == Scale::log) slope[i] = c[i];
  for (int i = 0; i < k; ++i)
    for (int j = 0; j <= i; ++j) {
      sum.hessian(i, j) *= slope[i] * slope[j];
      sum.majorizer(i, j) *= slope[i] * slope[j];
    }
  for (int i = 0; i < k; ++i) {
    if (problem.law->coefficients[i].scale == Scale::log)
      sum.hessian(i, i) += c[i] * sum.gradient[i];
    sum.gradient[i] *= slope[i];
  }
  for (int i = 0; i < k; ++i)
    for (int j = 0; j < i; ++j) {
      sum.hessian(j, i) = sum.hessian(i, j);
      sum.majorizer(j, i) = sum.majorizer(i, j);
    }
}

}  // namespace

void Observations::push(const double* inputs_and_logs, double value, double row_weight) {
  x.insert(x.end(), inputs_and_logs, inputs_and_logs + 2 * inputs);
  loss.push_back(value);
  log_loss.push_back(std::log(value));
  weight.push_back(row_weight);
}

Observations grouped(const Observations& data) {
  const auto inputs = [&](size_t row) {
    return std::span(data.x).subspan(row * 2 * data.inputs, data.inputs);
  };
  std::vector<size_t> order(data.rows());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::ranges::lexicographical_compare(inputs(a), inputs(b));
  });
  Observations result{.inputs = data.inputs};
  for (const size_t row : order) result.push(inputs(row).data(), data.loss[row], data.weight[row]);
  return result;
}

Observations thinned(const Observations& data, size_t rows) {
  Observations result{.inputs = data.inputs};
  for (size_t i = 0; i < rows; ++i) {
    const size_t row = i * data.rows() / rows;
    result.push(data.x.data() + row * 2 * data.inputs, data.loss[row], data.weight[row]);
  }
  return result;
}

int Problem::free_count() const {
  int count = 0;
  for (int i = 0; i < size(); ++i) count += !fixed(i);
  return count;
}

double to_theta(const Coefficient& coefficient, double value) {
  return coefficient.scale == Scale::log ? std::log(value) : value;
}

double from_theta(const Coefficient& coefficient, double theta) {
  return coefficient.scale == Scale::log ? std::exp(theta) : theta;
}

Vector coefficients_of(const Problem& problem, const Vector& theta) {
  Vector c(problem.size());
  for (int i = 0; i < problem.size(); ++i)
    c[i] = from_theta(problem.law->coefficients[i], theta[i]);
  for (int i = 0; i < problem.size(); ++i) c[i] = c[problem.leader(i)];
  return c;
}

double objective_at(const Problem& problem, const Vector& theta) {
  const Vector c = coefficients_of(problem, theta);
  const Observations& data = *problem.data;
  double sum = 0.0;
  for_points(*problem.law, data, c.data(), 0, [&](size_t first, size_t rows, const double* p) {
    sum += penalty_at(problem.objective, data, first, rows, *p).value;
  });
  sum = sum / total_weight(problem) + prior_penalty(problem, theta);
  return std::isfinite(sum) ? sum : unbounded;
}

Derivatives derivatives_at(const Problem& problem, const Vector& theta) {
  const int k = problem.size();
  Sums points(k);
  const Vector c = coefficients_of(problem, theta);
  const Observations& data = *problem.data;
  for_points(*problem.law, data, c.data(), 2, [&](size_t first, size_t rows, const double* jet) {
    const PenaltyJet rho = penalty_at(problem.objective, data, first, rows, jet[0]);
    add_point(problem.objective, jet, k, rho, points);
  });
  Derivatives sum = unpacked(points, k);
  if (!problem.tied_to.empty()) fold_ties(problem, sum);
  to_theta_scale(problem, c, sum);
  const double scale = 1.0 / total_weight(problem);
  sum.value *= scale;
  sum.gradient *= scale;
  sum.hessian *= scale;
  sum.majorizer *= scale;
  sum.value += prior_penalty(problem, theta);
  for (const ThetaPrior& prior : problem.priors) {
    const double precision = 1.0 / (prior.sd * prior.sd);
    const int i = prior.coefficient;
    sum.gradient[i] += precision * (theta[i] - prior.mean);
    sum.hessian(i, i) += precision;
    sum.majorizer(i, i) += precision;
  }
  return sum;
}

Matrix gradient_outer(const Problem& problem, const Vector& theta, const std::vector<int>& group) {
  const int k = problem.size();
  const Vector c = coefficients_of(problem, theta);
  const Observations& data = *problem.data;
  const Objective& objective = problem.objective;
  Vector slope = Vector::Ones(k);
  for (int i = 0; i < k; ++i)
    if (problem.law->coefficients[i].scale == Scale::log) slope[i] = c[i];
  slope /= total_weight(problem);
  Matrix outer = Matrix::Zero(k, k);
  std::vector<Vector> sums;
  for_points(*problem.law, data, c.data(), 1, [&](size_t first, size_t rows, const double* jet) {
    for (size_t i = first; i < first + rows; ++i) {
      const double scale = objective.log_residual ? 1.0 / jet[0] : 1.0;
      const double r =
          objective.log_residual ? std::log(jet[0]) - data.log_loss[i] : jet[0] - data.loss[i];
      Vector g = Eigen::Map<const Eigen::VectorXd>(jet + 1, k);
      for (int j = 0; j < k; ++j) {
        if (!problem.tied(j)) continue;
        g[problem.leader(j)] += g[j];
        g[j] = 0.0;
      }
      g = g.cwiseProduct(slope) * (data.weight[i] * penalty_jet(objective, r).slope * scale);
      if (group.empty()) {
        outer.noalias() += g * g.transpose();
        continue;
      }
      while (sums.size() <= static_cast<size_t>(group[i])) sums.push_back(Vector::Zero(k));
      sums[group[i]] += g;
    }
  });
  for (const Vector& g : sums) outer.noalias() += g * g.transpose();
  return outer;
}

std::vector<double> predict_rows(const Law& law, const Vector& coefficients,
                                 const Observations& data) {
  std::vector<double> result(data.rows());
  law.evaluate(law, coefficients.data(), data.x.data(), data.rows(), 0, result.data());
  return result;
}

double residual(const Objective& objective, double measured, double predicted) {
  return objective.log_residual ? std::log(measured / predicted) : measured - predicted;
}

double with_residual(const Objective& objective, double predicted, double residual) {
  return objective.log_residual ? predicted * std::exp(residual) : predicted + residual;
}

std::vector<double> residuals(const Problem& problem, const Vector& coefficients) {
  const Observations& data = *problem.data;
  std::vector<double> result = predict_rows(*problem.law, coefficients, data);
  for (size_t i = 0; i < result.size(); ++i)
    result[i] = residual(problem.objective, data.loss[i], result[i]);
  return result;
}

}  // namespace rung

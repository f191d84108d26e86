// One fitting problem: a law, observations, an objective and what is held fixed or bounded. The
// coefficients are searched as theta (Coefficient::scale); the derivatives of the objective in
// theta come from the law's one formula.
#pragma once
#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "law/law.h"
#include "law/objective.h"

namespace rung {

using Vector = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, max_coefficients, 1>;
using Matrix =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, max_coefficients, max_coefficients>;

// The rows that a fit uses.
struct Observations {
  size_t inputs = 0;               // k
  std::vector<double> x{};         // [rows, 2 k]: inputs, then their logarithms
  std::vector<double> loss{};      // [rows]: the law's target as measured
  std::vector<double> log_loss{};  // [rows]; NaN where it is not positive (raw objectives only)
  std::vector<double> weight{};    // [rows], >= 0
  size_t rows() const { return loss.size(); }
  void push(const double* inputs_and_logs, double value, double row_weight);
};

// The rows sorted by their inputs: those of equal inputs, such as the runs of a sweep at one size,
// stand together, and the law is evaluated once for all of them.
Observations grouped(const Observations& data);

// An even choice of `rows` rows, fewer than there are.
Observations thinned(const Observations& data, size_t rows);

// A Gaussian belief on theta; adds ((theta - mean) / sd)^2 / 2 to the objective, so it is
// calibrated when the weights are 1/variance.
struct ThetaPrior {
  int coefficient = 0;
  double mean = 0.0, sd = 1.0;
};

struct Problem {
  const Law* law = nullptr;
  const Observations* data = nullptr;
  Objective objective{};
  Vector lo{}, hi{};  // bounds of theta; equal where a coefficient is fixed
  std::vector<ThetaPrior> priors{};
  // Per coefficient the one whose value it takes, or -1; empty without ties. Its own theta is
  // unused and held fixed.
  std::vector<int> tied_to{};

  int size() const { return static_cast<int>(law->coefficients.size()); }
  bool fixed(int i) const { return lo[i] == hi[i]; }
  int leader(int i) const { return tied_to.empty() || tied_to[i] < 0 ? i : tied_to[i]; }
  bool tied(int i) const { return leader(i) != i; }
  int free_count() const;
};

// A coefficient and its transform, in which the fitter works: the logarithm where the scale is
// logarithmic, else itself.
double to_theta(const Coefficient& coefficient, double value);
double from_theta(const Coefficient& coefficient, double theta);
Vector coefficients_of(const Problem& problem, const Vector& theta);

// The objective at theta; infinity where the law is not finite (or not positive, for log
// residuals).
double objective_at(const Problem& problem, const Vector& theta);

// Value, gradient, Hessian and the majorizer sum w rho'(r)/r grad r grad r^T (positive
// semi-definite).
struct Derivatives {
  double value = 0.0;
  Vector gradient;
  Matrix hessian, majorizer;
};
Derivatives derivatives_at(const Problem& problem, const Vector& theta);

// Sum over groups of rows of g g^T, g the group's share of the objective's gradient without the
// prior's; `group` numbers each row's group from 0, empty: each row is its own.
Matrix gradient_outer(const Problem& problem, const Vector& theta, const std::vector<int>& group);

// Predictions [rows] of a law at natural coefficients.
std::vector<double> predict_rows(const Law& law, const Vector& coefficients,
                                 const Observations& data);

// Measured against predicted in the objective's unit: ln(measured / predicted), or the difference.
double residual(const Objective& objective, double measured, double predicted);

// What a law at `predicted` measures with a residual: the inverse.
double with_residual(const Objective& objective, double predicted, double residual);

// Residuals [rows] of a problem's data at natural coefficients.
std::vector<double> residuals(const Problem& problem, const Vector& coefficients);

}  // namespace rung

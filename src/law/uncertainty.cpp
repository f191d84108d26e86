#include "law/uncertainty.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "law/draws.h"
#include "law/meter.h"
#include "law/parallel.h"

namespace rung {
namespace {

// One degree of freedom leaves the noise's scale wide open.
constexpr double largest_noise_factor = 5.0;

constexpr size_t noise_quantiles = 257;  // kept of the residuals' distribution

// Whether a non-linear coefficient stands at a bound (E = 0 is an ordinary answer).
bool near_bound(const Problem& problem, const Vector& theta) {
  for (int i = 0; i < problem.size(); ++i)
    if (!problem.fixed(i) && !problem.law->coefficients[i].linear &&
        (theta[i] == problem.lo[i] || theta[i] == problem.hi[i]))
      return true;
  return false;
}

Vector refit(Problem resampled, const Observations& drawn, const Optimum& optimum, bool at_bound) {
  resampled.data = &drawn;
  Solution found = polish(resampled, optimum.solution.theta, {.max_steps = 60, .tolerance = 1e-7});
  const bool suspicious = !found.converged || (!at_bound && near_bound(resampled, found.theta));
  // Rows of learning curves are too dear for a grid per sample.
  if (suspicious && resampled.law->run_input < 0) {
    const Solution again = solve(resampled, 2, true).solution;
    if (again.objective < found.objective) found = again;
  }
  return found.theta;
}

}  // namespace

double noise_scale_draw(double freedom, Random& random) {
  double chi_square = 0.0;
  for (int i = 0; i < static_cast<int>(std::min(freedom, 200.0)); ++i) {
    const double z = random.normal();
    chi_square += z * z;
  }
  return std::min(std::sqrt(std::min(freedom, 200.0) / chi_square), largest_noise_factor);
}

bool draws_blocks(const Problem& problem, const FitOptions& options) {
  if (problem.law->run_input < 0 || !options.cluster_column.empty()) return false;
  return options.resampling == Resampling::automatic || options.resampling == Resampling::blocks;
}

bool draws_rows(const Problem& problem, const FitOptions& options) {
  if (options.resampling != Resampling::automatic) return options.resampling == Resampling::rows;
  if (!options.cluster_column.empty()) return true;
  return problem.data->rows() >= 20 * static_cast<size_t>(std::max(1, problem.free_count()));
}

std::vector<double> row_noise(const Selection& selection, const Problem& problem,
                              const Vector& theta) {
  const std::vector<double> left = residuals(problem, coefficients_of(problem, theta));
  const double freedom = degrees_of_freedom(problem);
  double sum = 0.0;
  const bool known = !selection.sd.empty();
  for (size_t i = 0; i < left.size(); ++i) {
    const double z = known ? left[i] / selection.sd[i] : left[i];
    sum += z * z;
  }
  const double scale = std::sqrt(sum / freedom);
  std::vector<double> noise(left.size(), scale);
  for (size_t i = 0; known && i < noise.size(); ++i)
    noise[i] = selection.sd[i] * std::max(1.0, scale);
  return noise;
}

std::vector<double> residual_noise(const Selection& selection, const Problem& problem,
                                   const Vector& theta) {
  std::vector<double> sorted = residuals(problem, coefficients_of(problem, theta));
  const double n = static_cast<double>(sorted.size());
  std::vector<double> noise;
  if (sorted.size() >= 20) {
    const double widen = std::sqrt(n / std::max(1.0, n - problem.free_count()));
    std::sort(sorted.begin(), sorted.end());
    const size_t count = std::min(noise_quantiles, sorted.size());
    for (size_t i = 0; i < count; ++i)
      noise.push_back(widen * sorted[i * (sorted.size() - 1) / (count - 1)]);
    return noise;
  }
  // Few points: a normal distribution of the rows' typical deviation.
  const double sd = quantile(row_noise(selection, problem, theta), 0.5);
  constexpr double normal_quantiles[] = {-1.645, -1.150, -0.862, -0.642, -0.454,
                                         -0.286, -0.130, 0.0,    0.130,  0.286,
                                         0.454,  0.642,  0.862,  1.150,  1.645};
  for (const double z : normal_quantiles)
    noise.push_back(1.08 * sd * z);  // 1.08: unit variance of the 15 points
  return noise;
}

Samples bootstrap(const Selection& selection, const Problem& problem, const Optimum& optimum,
                  int count, const FitOptions& options) {
  const bool rows = draws_rows(problem, options), blocks = draws_blocks(problem, options);
  const Vector& theta = optimum.solution.theta;
  const std::vector<double> noise = row_noise(selection, problem, theta);
  const std::vector<double> prediction =
      predict_rows(*problem.law, coefficients_of(problem, theta), *problem.data);
  const bool known = !selection.sd.empty();
  const bool at_bound = near_bound(problem, theta);
  Samples samples{std::vector<Vector>(count), std::vector<double>(count, 1.0)};
  Meter meter(options.progress, std::string(problem.law->name), static_cast<size_t>(count),
              "resamples");
  parallel_for(count, options.threads, [&](size_t i) {
    stop_if(options.interrupted);
    Random random(options.seed, "bootstrap", i);
    if (!rows && !blocks && !known)
      samples.noise_factor[i] = noise_scale_draw(degrees_of_freedom(problem), random);
    const Observations drawn =
        blocks ? draw_blocks(*problem.data, problem.law->run_input, random)
        : rows ? draw_rows(*problem.data, selection.cluster, random)
               : draw_noise(problem, prediction, noise, samples.noise_factor[i], random);
    Problem resampled = problem;
    draw_priors(resampled, theta, !rows && !blocks, random);
    samples.theta[i] = refit(std::move(resampled), drawn, optimum, at_bound);
    meter.add();
  });
  if (blocks) {
    const double widen = block_widening(problem);
    for (Vector& drawn : samples.theta)
      drawn = (theta + widen * (drawn - theta)).cwiseMax(problem.lo).cwiseMin(problem.hi);
  }
  return samples;
}

bool unmoved(const Samples& samples, const Selection& selection, const Problem& problem,
             const Vector& theta) {
  constexpr double still = 1e-6, exact = 1e-9;
  if (quantile(row_noise(selection, problem, theta), 0.5) < exact) return false;
  const auto stays = [&](const Vector& drawn) {
    return ((drawn - theta).cwiseAbs().array() <= still * (1.0 + theta.cwiseAbs().array())).all();
  };
  const auto count = std::count_if(samples.theta.begin(), samples.theta.end(), stays);
  return 2 * count > static_cast<std::ptrdiff_t>(samples.theta.size());
}

Samples sandwich(const Selection& selection, Problem problem, const Vector& theta, int count,
                 uint64_t seed) {
  std::vector<int> free;
  for (int i = 0; i < problem.size(); ++i)
    if (!problem.fixed(i) && theta[i] > problem.lo[i] && theta[i] < problem.hi[i])
      free.push_back(i);
  const int n = static_cast<int>(free.size());
  if (n == 0) return {std::vector<Vector>(count, theta), std::vector<double>(count, 1.0)};
  if (problem.objective.penalty == Penalty::kinked) {
    // The curvature at a kink is the residuals' density there: estimated within a window.
    const std::vector<double> left = residuals(problem, coefficients_of(problem, theta));
    const double spread = quantile(left, 0.75) - quantile(left, 0.25);
    problem.objective.smoothing =
        std::max(spread * std::pow(static_cast<double>(left.size()), -0.2), 1e-12);
  }
  const Derivatives at = derivatives_at(problem, theta);
  Matrix outer = gradient_outer(problem, theta, selection.cluster);
  for (const ThetaPrior& prior : problem.priors)
    outer(prior.coefficient, prior.coefficient) += 1.0 / (prior.sd * prior.sd);
  const Eigen::MatrixXd curvature = at.hessian(free, free), middle = outer(free, free);
  const Eigen::MatrixXd inverse = curvature.completeOrthogonalDecomposition().pseudoInverse();
  const Eigen::MatrixXd covariance = inverse * middle * inverse;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(covariance);
  Samples samples{std::vector<Vector>(count), std::vector<double>(count, 1.0)};
  for (int s = 0; s < count; ++s) {
    Random random(seed, "sandwich", s);
    Vector z(n);
    for (int i = 0; i < n; ++i)
      z[i] = std::sqrt(std::max(0.0, eigen.eigenvalues()[i])) * random.normal();
    const Eigen::VectorXd step = eigen.eigenvectors() * z;
    Vector drawn = theta;
    for (int i = 0; i < n; ++i)
      drawn[free[i]] =
          std::clamp(theta[free[i]] + step[i], problem.lo[free[i]], problem.hi[free[i]]);
    samples.theta[s] = drawn;
  }
  return samples;
}

double deviance(const Problem& problem, const Solution& optimum, double objective) {
  const double freedom = degrees_of_freedom(problem);
  const double least = std::max(optimum.objective, 1e-300);
  if (!(objective > least)) return 0.0;
  if (problem.objective.penalty == Penalty::square) return freedom * std::log(objective / least);
  // Beyond Huber's threshold the density is Laplace's, whose deviance counts twice.
  double beyond = 1.0;
  if (problem.objective.penalty == Penalty::huber) {
    const std::vector<double> left = residuals(problem, coefficients_of(problem, optimum.theta));
    const auto outside = std::count_if(
        left.begin(), left.end(), [&](double r) { return std::fabs(r) > problem.objective.delta; });
    beyond = static_cast<double>(outside) / static_cast<double>(left.size());
  }
  return freedom * (1.0 + beyond) * std::log(objective / least);
}

double hessian_condition(const Problem& problem, const Vector& theta, bool scaled) {
  std::vector<int> free;
  for (int i = 0; i < problem.size(); ++i)
    if (!problem.fixed(i) && theta[i] > problem.lo[i] && theta[i] < problem.hi[i])
      free.push_back(i);
  if (free.empty()) return 1.0;
  Eigen::MatrixXd hessian = derivatives_at(problem, theta).hessian(free, free);
  if (scaled) {
    const Eigen::VectorXd scale =
        hessian.diagonal().cwiseAbs().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
    hessian = (scale.asDiagonal() * hessian * scale.asDiagonal()).eval();
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(hessian, Eigen::EigenvaluesOnly);
  const double least = eigen.eigenvalues().minCoeff();
  return least > 0.0 ? eigen.eigenvalues().maxCoeff() / least : unbounded;
}

double normal_quantile(double probability) {
  double below = -40.0, above = 40.0;
  for (int i = 0; i < 100; ++i) {
    const double z = 0.5 * (below + above);
    (0.5 * std::erfc(-z / std::sqrt(2.0)) < probability ? below : above) = z;
  }
  return 0.5 * (below + above);
}

double quantile(std::vector<double> values, double probability) {
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  const double at = probability * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace rung

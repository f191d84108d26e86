// What the re-analysis of Hoffmann's fit published about the 240 points, beyond their optimum.
// Source: Besiroglu et al. 2024, "Chinchilla Scaling: A replication attempt".
#include <doctest/doctest.h>

#include <Eigen/Dense>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/regression.h"
#include "law/select.h"
#include "law/solve.h"
#include "law/uncertainty.h"

using namespace rung;

namespace {

const char* const points = "chinchilla-epoch/points.csv";

// ln Z of the density exp(-huber(x)) with threshold delta.
double log_normaliser(double delta) {
  const double tail = 0.5 * std::erfc(delta / std::sqrt(2.0));
  return std::log(std::sqrt(2.0 * M_PI) * (1.0 - 2.0 * tail) +
                  2.0 * std::exp(-0.5 * delta * delta) / delta);
}

// The likelihood's negative logarithm is n (ln Z + ln s) + sum huber(x/s): at a given scale s its
// minimum is the Huber fit with threshold s delta, over s^2. `theta` goes from optimum to optimum.
double likelihood_at(double scale, Problem problem, Vector& theta) {
  constexpr double delta = 1e-3;
  problem.objective.delta = delta * scale;
  const Solution found = polish(problem, theta);
  theta = found.theta;
  return found.objective / (scale * scale) +
         static_cast<double>(problem.data->rows()) * (log_normaliser(delta) + std::log(scale));
}

}  // namespace

TEST_CASE("chinchilla: the published maximum likelihood of the Huber density, scale included") {
  const FitOptions options{.where = epoch_filter};
  const Selection selection = select_rows(read_table(law_data(points)), options);
  const Problem problem = make_problem(selection, options);
  Vector theta = solve(problem).solution.theta;
  const auto at = [&](double log_scale) {
    return likelihood_at(std::exp(log_scale), problem, theta);
  };
  const double best = minimise(at, std::log(1e-6), std::log(1e-4), 8);
  const double least = at(best);
  CHECK(least <= -879.773 + 1e-3);
  CHECK(least == doctest::Approx(-879.773).epsilon(1e-5));
  const double published[] = {1.8169, 482.01, 2085.43, 0.34781, 0.36585};
  const Vector c = coefficients_of(problem, theta);
  for (int i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(c[i] == doctest::Approx(published[i]).epsilon(5e-3));
  }
}

TEST_CASE("chinchilla: the exponent of the optimal size, its interval and the test of Hoffmann") {
  FitOptions options{.where = epoch_filter, .bootstrap = 2000, .level = 0.95};
  const Fit fit = fit_law(read_table(law_data(points)), options);
  std::vector<double> exponents;
  for (const auto& c : fit.samples) exponents.push_back(c[4] / (c[3] + c[4]));
  const auto c = fit.values();
  CHECK(c[4] / (c[3] + c[4]) == doctest::Approx(0.513).epsilon(4e-3));
  CHECK(deviation_of(exponents) == doctest::Approx(0.020).epsilon(0.1));
  // Published intervals of A, B, E, alpha, beta.
  const double intervals[][2] = {
      {1.769, 1.871}, {285.2, 743.6}, {1042, 5810}, {0.317, 0.373}, {0.331, 0.415}};
  for (int i = 0; i < 5; ++i) {
    CAPTURE(fit.coefficients[i].name);
    const double width = intervals[i][1] - intervals[i][0];
    CHECK(std::fabs(fit.coefficients[i].lo - intervals[i][0]) < 0.15 * width);
    CHECK(std::fabs(fit.coefficients[i].hi - intervals[i][1]) < 0.15 * width);
  }
  // Wald's statistic of Hoffmann's unrounded values: published 84.0, p = 1.2e-16 with five degrees
  // of freedom.
  const double hoffmann[] = {std::exp(0.5267228), std::exp(6.0073404), std::exp(6.0179186),
                             0.33917084, 0.2849083};
  using Five = Eigen::Matrix<double, 5, 1>;
  const auto theta = [](const std::vector<double>& v) { return Five(v.data()); };
  Five mean = Five::Zero();
  Eigen::Matrix<double, 5, 5> covariance = Eigen::Matrix<double, 5, 5>::Zero();
  const double n = static_cast<double>(fit.samples.size());
  for (const auto& sample : fit.samples) mean += theta(sample) / n;
  for (const auto& sample : fit.samples)
    covariance += (theta(sample) - mean) * (theta(sample) - mean).transpose() / (n - 1.0);
  const Five gap = theta(c) - Five(hoffmann);
  CHECK(gap.dot(covariance.ldlt().solve(gap)) == doctest::Approx(84.0).epsilon(0.1));
}

TEST_CASE("chinchilla: the mean instead of the sum ends at the same optimum") {
  Table table = read_table(law_data(points));
  table.add("w", std::vector<double>(table.rows, 1.0 / 240.0));
  const Fit sum = fit_law(table, {.where = epoch_filter, .bootstrap = 0});
  const Fit mean = fit_law(table, {.where = epoch_filter, .weight_column = "w", .bootstrap = 0});
  CHECK(240.0 * mean.objective_value == doctest::Approx(sum.objective_value).epsilon(1e-9));
  CHECK(mean.values()[3] == doctest::Approx(sum.values()[3]).epsilon(1e-6));
  CHECK(mean.values()[4] == doctest::Approx(sum.values()[4]).epsilon(1e-6));
}

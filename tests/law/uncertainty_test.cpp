#include "law/uncertainty.h"

#include <doctest/doctest.h>

#include "core/random.h"
#include "law/fit.h"
#include "law/formula.h"
#include "law/predict.h"

using namespace rung;

namespace {

// L = level at every moment of every run: the least learning curve.
struct Level {
  static constexpr int coefficients = 1, inputs = 2;
  static auto loss(const auto& c, const Inputs&) { return std::get<0>(c) * 1.0; }
};
constexpr std::string_view level_inputs[] = {"run", "step"};
constexpr Coefficient level_coefficients[] = {
    {.name = "level", .meaning = "level", .linear = true}};
constexpr InputRule level_rules[] = {{.domain = Domain::real, .may_be_constant = true},
                                     {.domain = Domain::real, .may_be_constant = true}};
constinit const Law level_law = {.name = "level",
                                 .formula = "L = level",
                                 .inputs = level_inputs,
                                 .coefficients = level_coefficients,
                                 .evaluate = evaluate_formula<Level>,
                                 .objective = "raw-least-squares",
                                 .input_rules = level_rules,
                                 .run_input = 0};

}  // namespace

// With independent noise the deviation of a mean of n rows is sd/sqrt(n). Four rows of a run make
// two blocks, which vary by half of that variance about their own mean: unwidened, the resamples'
// deviation would be 0.71 of it.
TEST_CASE("uncertainty: resampled blocks are widened by what runs of few blocks leave out") {
  constexpr int runs = 60, moments = 4;
  Table table;
  std::vector<double> run, step, loss;
  Random random(2, "blocks");
  for (int i = 0; i < runs * moments; ++i) {
    run.push_back(i / moments);
    step.push_back(i % moments + 1.0);
    loss.push_back(3.0 + 0.1 * random.normal());
  }
  table.add("run", run);
  table.add("step", step);
  table.add("L", loss);
  const FitOptions options;
  const Selection selection = select_rows(level_law, table, options);
  const Problem problem = make_problem(selection, options);
  const Optimum optimum = solve(problem);
  REQUIRE(draws_blocks(problem, options));
  const Samples samples = bootstrap(selection, problem, optimum, 1000, options);
  double square = 0.0;
  for (const Vector& theta : samples.theta)
    square += std::pow(theta[0] - optimum.solution.theta[0], 2) / 1000.0;
  const double expected = 0.1 / std::sqrt(runs * moments);
  CHECK(std::sqrt(square) / expected > 0.88);
  CHECK(std::sqrt(square) / expected < 1.12);
}

// A conjugate pair: rows of one mean with known noise, and a prior of equal weight whose centre
// lies elsewhere. The posterior's deviation is 1/sqrt(2) of either's; samples that held the prior
// fixed would have half of it, half a prior's deviation off.
TEST_CASE("uncertainty: samples draw a prior with the measurements") {
  constexpr int rows = 16;
  constexpr double noise = 0.04, prior_sd = noise / 4;  // of the mean of 16 rows
  Table table;
  Random random(5, "prior");
  std::vector<double> loss;
  double mean = 0.0;
  for (int i = 0; i < rows; ++i) loss.push_back(noise * random.normal());
  for (const double l : loss) mean += l / rows;
  for (double& l : loss) l += 3.0 - mean;
  table.add("run", std::vector<double>(rows, 0.0));
  table.add("step", std::vector<double>(rows, 1.0));
  table.add("L", loss);
  table.add("sd", std::vector<double>(rows, noise));
  FitOptions options{.objective = "raw-least-squares", .resampling = Resampling::parametric};
  options.sd_column = "sd";
  options.priors = {{"level", {.mean = 3.0 + 4.0 * prior_sd, .sd = prior_sd}}};
  const Selection selection = select_rows(level_law, table, options);
  const Problem problem = make_problem(selection, options);
  const Optimum optimum = solve(problem);
  const double estimate = optimum.solution.theta[0];
  CHECK(estimate == doctest::Approx(3.0 + 2.0 * prior_sd).epsilon(1e-4));
  for (const Samples& samples : {bootstrap(selection, problem, optimum, 2000, options),
                                 sandwich(selection, problem, optimum.solution.theta, 2000, 1)}) {
    double centre = 0.0, square = 0.0;
    for (const Vector& theta : samples.theta) centre += theta[0] / 2000.0;
    for (const Vector& theta : samples.theta) square += std::pow(theta[0] - centre, 2) / 2000.0;
    CHECK(std::abs(centre - estimate) < 0.1 * prior_sd);
    CHECK(std::sqrt(square) == doctest::Approx(prior_sd / std::sqrt(2.0)).epsilon(0.08));
  }
}

// Two rows a size about a power law, the one as far above it as the other below: by a Huber loss
// any curve between them is as good, and drawing whole sizes moves none.
TEST_CASE("uncertainty: where draws of clusters move nothing, noise is drawn") {
  Table table;
  std::vector<double> size, loss;
  for (const double n : {1e6, 1e7, 1e8, 1e9, 1e10})
    for (const double side : {1.03, 0.97})
      size.push_back(n), loss.push_back(side * (1.0 + 20.0 * std::pow(n, -0.15)));
  table.add("x", size);
  table.add("L", loss);
  FitOptions options{.law = "power", .bootstrap = 200, .refuse = false};
  options.cluster_column = "x";
  const Fit fit = fit_law(table, options);
  const auto still = std::find_if(fit.diagnostics.begin(), fit.diagnostics.end(),
                                  [](const auto& d) { return d.code == "still-resamples"; });
  REQUIRE(still != fit.diagnostics.end());
  for (const Estimate& estimate : fit.coefficients)
    CHECK_MESSAGE(estimate.hi - estimate.lo > 0.01 * estimate.value, estimate.name);
  CHECK(fit.checklist.at("fitting").at("interval") == "parametric bootstrap");
}

TEST_CASE("predict: a point is as far outside by the law's name of an input as by the column's") {
  Table table;
  std::vector<double> size, loss;
  for (int i = 0; i < 8; ++i)
    size.push_back(10.0 * std::exp2(i)), loss.push_back(1.0 + 5.0 * std::pow(size.back(), -0.3));
  table.add("size", size);
  table.add("L", loss);
  const Fit fit =
      fit_law(table, {.law = "power", .columns = {{"x", "size"}}, .bootstrap = 0, .refuse = false});
  for (const char* name : {"x", "size"}) {
    const Prediction at = predict(fit, {{name, 1e9}});
    CHECK(at.extrapolation.at("size") == doctest::Approx(1e9 / size.back()));
    CHECK(at.outside.at("size") == doctest::Approx(1e9 / size.back()));
  }
}

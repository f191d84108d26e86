#include "law/rollout.h"

#include <doctest/doctest.h>

#include "core/random.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/predict.h"

using namespace rung;

namespace {

// Eight rungs along D = 20 N whose three smallest lie before a bend.
Table bent(int rungs = 8, double sd = 0.001) {
  Table table;
  std::vector<double> n, d, loss, deviation;
  Random random(11, "rollout");
  for (int i = 0; i < rungs; ++i) {
    n.push_back(3.4e4 * std::pow(1.9, i));
    d.push_back(20 * n.back());
    const double clean =
        0.85 + 40 * std::pow(n.back(), -0.33) - 0.5 * std::exp(-std::pow(n.back() / 5e4, 1.5));
    loss.push_back(clean * std::exp(sd * random.normal()));
    deviation.push_back(sd * clean);
  }
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  table.add("sd", deviation);
  return table;
}

FitOptions power_options() {
  return {.law = "power",
          .columns = {{"x", "N"}},
          .objective = "least-squares",
          .sd_column = "sd",
          .bootstrap = 100};
}

}  // namespace

TEST_CASE("rollout: errors are those of a refit without the held-out rungs") {
  const Table table = bent();
  const Rollout rollout = roll_out(table, {"power", power_options(), 0}, {.order = "N"});
  REQUIRE(rollout.steps.size() == 3);
  FitOptions options = power_options();
  options.where = "N < 2.5e6";
  options.refuse = false;
  const Fit fit = fit_law(table, options);
  REQUIRE(fit.points == 7);
  const double n = table.columns[0].values[7];
  CHECK(rollout.steps[0].far_error ==
        doctest::Approx(std::log(predict_loss(fit, {{"N", n}}) / table.columns[2].values[7]))
            .epsilon(1e-6));
  CHECK(rollout.steps[0].ahead[0] == doctest::Approx(1.9));
  CHECK(rollout.steps[2].rows == std::vector<size_t>{5, 6, 7});
}

TEST_CASE("rollout: the regime after a bend wins") {
  const Table table = bent(8, 0.0002);
  const auto results =
      score_candidates(table, make_candidates({power_options()}, 3), {.order = "N"});
  REQUIRE(results.size() == 4);
  double sum = 0.0;
  for (const Rollout& result : results) sum += result.weight;
  CHECK(sum == doctest::Approx(1.0));
  CHECK(results[0].score > 3 * results[3].score);
  CHECK(results[3].weight > 0.5);
  CHECK(results[0].weight < 0.1);
}

TEST_CASE("rollout: four points and three coefficients are enough, fewer say why") {
  const Table table = bent(5);
  const auto results =
      score_candidates(table, make_candidates({power_options()}, 2), {.order = "C"});
  CHECK(results[0].steps.size() == 1);
  CHECK(std::isfinite(results[0].score));
  CHECK(results[1].steps.empty());
  CHECK(results[1].weight == 0.0);
  CHECK(results[1].problem.find("fewer than 4") != std::string::npos);
  const Fit fit = fit_candidate(table, {"", power_options(), 1}, {.order = "N"});
  CHECK(fit.points == 4);
  CHECK(fit.coefficients.size() == 3);
  const Prediction at = predict(fit, {{"N", 5e6}}, 0.9);
  CHECK(at.lo < at.loss);
  CHECK(at.hi > at.loss);
}

TEST_CASE("rollout: priors and bounds hold") {
  FitOptions options = power_options();
  options.bounds["a"] = {0.1, 0.3};
  const Fit fit = fit_candidate(bent(), {"", options, 2}, {.order = "N"});
  CHECK(fit.values()[2] <= 0.3);
  options.bounds.clear();
  options.priors["a"] = {0.25, 1e-4};
  CHECK(fit_candidate(bent(), {"", options, 2}, {.order = "N"}).values()[2] ==
        doctest::Approx(0.25).epsilon(0.01));
}

TEST_CASE("mixture: weights move the loss, and disagreement widens the interval") {
  const Table table = bent();
  const std::vector<Fit> fits = {fit_candidate(table, {"", power_options(), 0}, {.order = "N"}),
                                 fit_candidate(table, {"", power_options(), 3}, {.order = "N"})};
  const Point at = {{"N", 5e7}};
  const Prediction first = predict_mixture(fits, std::vector{1.0, 0.0}, at, 0.9);
  const Prediction second = predict_mixture(fits, std::vector{0.0, 1.0}, at, 0.9);
  const Prediction both = predict_mixture(fits, std::vector{1.0, 1.0}, at, 0.9);
  CHECK(both.loss == doctest::Approx(std::sqrt(first.loss * second.loss)));
  CHECK(both.hi - both.lo > std::min(first.hi - first.lo, second.hi - second.lo));
  const Prediction wider = predict_mixture(fits, std::vector{1.0, 1.0}, at, 0.9, 0.05);
  CHECK(wider.hi - wider.lo > both.hi - both.lo);
}

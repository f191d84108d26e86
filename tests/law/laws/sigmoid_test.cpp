#include <doctest/doctest.h>

#include "core/random.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"
#include "law/predict.h"

using namespace rung;

TEST_CASE("sigmoid: derivatives match finite differences") {
  check_derivatives(sigmoid_law, {0.7, 0.25, 4.0, 0.9}, {1.1});
  check_derivatives(sigmoid_law, {0.4, 0.0, 12.0, 2.5}, {2.2});
}

TEST_CASE("sigmoid: recovers planted coefficients") {
  check_recovery(sigmoid_law, 1e-4);
  check_noisy_recovery(sigmoid_law);
}

TEST_CASE("sigmoid: the ladder's HellaSwag golden, 1,401 checkpoints") {
  const Fit fit = fit_law(read_table(law_data("olmo-ladder/hellaswag_checkpoints.csv")),
                          {.law = "sigmoid", .bootstrap = 0});
  REQUIRE_FALSE(fit.refused());
  // The authors' script: a = -0.7301114, k = 12.741708, x0 = 0.7667354, b = 0.9921035.
  CHECK(fit.values()[0] == doctest::Approx(0.7301114).epsilon(1e-4));
  CHECK(fit.values()[1] == doctest::Approx(0.9921035 - 0.7301114).epsilon(1e-4));
  CHECK(fit.values()[2] == doctest::Approx(12.741708).epsilon(1e-4));
  CHECK(fit.values()[3] == doctest::Approx(0.7667354).epsilon(1e-4));
  CHECK(fit.objective_value <= 0.5 * 0.0518395728 * (1 + 1e-6));
  // Published errors from the targets' own losses: 1.1 % (7B) and 1.2 % (13B).
  const auto error = [&](double loss, double accuracy) {
    return predict(fit, {{"L", loss}}).loss / accuracy - 1;
  };
  CHECK(error(0.67318505, 0.81348336) == doctest::Approx(0.011).epsilon(0.05));
  CHECK(error(0.66093389, 0.831906) == doctest::Approx(0.012).epsilon(0.05));
}

TEST_CASE("sigmoid: both steps of the ladder give the published errors") {
  const Table runs = read_table(law_data("olmo-ladder/hellaswag_runs.csv"));
  const Fit loss = fit_law(runs, {.law = "chinchilla", .where = "N < 2e9", .bootstrap = 0});
  const Fit accuracy = fit_law(read_table(law_data("olmo-ladder/hellaswag_checkpoints.csv")),
                               {.law = "sigmoid", .bootstrap = 0});
  const auto error = [&](double N, double D, double measured) {
    const double at = predict(loss, {{"N", N}, {"D", D}}).loss;
    return predict(accuracy, {{"L", at}}).loss / measured - 1;
  };
  CHECK(error(6887575552, 3945065873408, 0.81348336) == doctest::Approx(0.014).epsilon(0.04));
  CHECK(error(13202396160, 5000088518656, 0.831906) == doctest::Approx(0.025).epsilon(0.04));
}

TEST_CASE("sigmoid: losses on the floor of guessing do not determine the rise") {
  Table table;
  std::vector<double> loss, accuracy;
  Random random(4, "floor");
  for (int i = 0; i < 20; ++i) {
    loss.push_back(3.0 + 0.1 * i);
    accuracy.push_back(0.25 + 0.01 * random.normal());
  }
  table.add("L", loss);
  table.add("accuracy", accuracy);
  CHECK(fit_law(table, {.law = "sigmoid", .bootstrap = 0}).refused());
}

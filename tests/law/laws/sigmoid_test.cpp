#include <doctest/doctest.h>

#include "core/random.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

TEST_CASE("sigmoid: derivatives match finite differences") {
  check_derivatives(sigmoid_law, {0.7, 0.25, 4.0, 0.9}, {1.1});
  check_derivatives(sigmoid_law, {0.4, 0.0, 12.0, 2.5}, {2.2});
}

TEST_CASE("sigmoid: recovers planted coefficients") {
  check_recovery(sigmoid_law, 1e-4);
  check_noisy_recovery(sigmoid_law);
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

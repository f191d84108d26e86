#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

TEST_CASE("ptq: derivatives match finite differences") {
  check_derivatives(ptq_law, {0.0598, 0.5068, 0.3439, 0.5907}, {1e8, 5e9, 4.0});
  check_derivatives(ptq_law, {3.0, -0.2, 0.1, 2.0}, {1e9, 5e10, 8.0});
}

TEST_CASE("ptq: recovers planted coefficients") {
  check_recovery(ptq_law, 1e-6);
  check_noisy_recovery(ptq_law);
}

TEST_CASE("ptq: the degradation grows with data and shrinks with bits and size") {
  const std::vector<double> c = plant(ptq_law).coefficients;
  const auto at = [&](double n, double d, double p) {
    return evaluate_law(ptq_law, c, std::vector{n, d, p});
  };
  CHECK(at(1e8, 1e10, 4) > at(1e8, 1e9, 4));
  CHECK(at(1e8, 1e10, 4) > at(1e8, 1e10, 5));
  CHECK(at(1e8, 1e10, 4) > at(1e9, 1e10, 4));
}

TEST_CASE("ptq: one width of the format is refused") {
  Table table = planted_table(ptq_law, true);
  for (double& bits : table.columns[2].values) bits = 4;
  CHECK(has_refusal(fit_law(table, {.law = "ptq", .bootstrap = 0}), "constant-input"));
}

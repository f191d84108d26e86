#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

TEST_CASE("broken-power: derivatives match finite differences") {
  check_derivatives(broken_power_law, {0.9, 30.0, 0.2, 0.4, 3e6, 0.3}, {2e6});
  check_derivatives(broken_power_law, {0.5, 30.0, 0.3, 0.1, 1e5, 0.8}, {2e8});
}

TEST_CASE("broken-power: recovers a planted break, and power warns of it") {
  const std::vector<double> truth = {0.7, 20.0, 0.15, 0.35, 2e6, 0.3};
  Table table;
  std::vector<double> x, loss;
  for (int i = 0; i < 14; ++i) {
    x.push_back(5e4 * std::pow(1.9, i));
    loss.push_back(evaluate_law(broken_power_law, truth, std::vector{x.back()}));
  }
  table.add("x", x);
  table.add("L", loss);
  const Fit fit = fit_law(table, {.law = "broken-power", .fixed = {{"f", 0.3}}, .bootstrap = 0});
  REQUIRE_FALSE(fit.refused());
  for (size_t i = 0; i < truth.size(); ++i)
    CHECK(fit.values()[i] == doctest::Approx(truth[i]).epsilon(1e-3));
  const Fit plain = fit_law(table, {.law = "power", .bootstrap = 0});
  bool warned = false;
  for (const Diagnostic& d : plain.diagnostics) warned |= d.code == "bend";
  CHECK(warned);
}

#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

TEST_CASE("joint-moe: derivatives match finite differences") {
  check_derivatives(
      joint_moe_law,
      {35.91, 0.2285, -0.1889, -0.0098, 35.98, -0.5529, -0.1775, 0.0259, 1.3637, 2.0732, 290.45},
      {5e8, 2e10, 8.0});
  check_derivatives(joint_moe_law,
                    {100.0, -0.1, -0.3, 0.01, 500.0, 0.1, -0.4, -0.01, 1.0, 1.5, 100.0},
                    {2e9, 1e11, 1.0});
}

TEST_CASE("joint-moe: recovers planted coefficients") {
  const FitOptions saturation{.fixed = {{"E_start", 2.0732}, {"E_max", 290.45}}};
  check_recovery(joint_moe_law, 80, 1e-3, saturation);
  check_noisy_recovery(joint_moe_law, 280, saturation, 1);
}

TEST_CASE("joint-moe: the published law at a dense and a sparse model") {
  const std::vector<double> c = typical_coefficients(joint_moe_law);
  // Eh(1) = E_start; ln 2.0732 = .72910.
  const double eh = std::log(2.0732);
  const double dense = 35.91 * std::exp(0.2285 * eh + (-0.1889 - 0.0098 * eh) * std::log(1e9)) +
                       35.98 * std::exp(-0.5529 * eh + (-0.1775 + 0.0259 * eh) * std::log(2e10)) +
                       1.3637;
  CHECK(evaluate_law(joint_moe_law, c, std::vector{1e9, 2e10, 1.0}) ==
        doctest::Approx(dense).epsilon(1e-12));
  CHECK(evaluate_law(joint_moe_law, c, std::vector{1e9, 2e10, 32.0}) < dense);
}

TEST_CASE("joint-moe: one number of experts is refused") {
  Table table = planted_table(joint_moe_law, typical_coefficients(joint_moe_law), 60, 0.002);
  for (double& experts : table.columns[2].values) experts = 8;
  CHECK(has_refusal(fit_law(table, {.law = "joint-moe", .bootstrap = 0}), "constant-input"));
}

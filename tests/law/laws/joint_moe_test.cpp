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
  check_recovery(joint_moe_law, 1e-3);
  check_noisy_recovery(joint_moe_law);
}

TEST_CASE("joint-moe: a dense model is E_start experts") {
  const std::vector<double> c = plant(joint_moe_law).coefficients;
  const double eh = std::log(2.394);
  const double dense = 150.0 * std::exp(-0.2 * eh + (-0.27 + 0.003 * eh) * std::log(1e9)) +
                       600.0 * std::exp(0.15 * eh + (-0.3 - 0.005 * eh) * std::log(2e10)) + 1.6;
  CHECK(evaluate_law(joint_moe_law, c, std::vector{1e9, 2e10, 1.0}) ==
        doctest::Approx(dense).epsilon(1e-12));
  CHECK(evaluate_law(joint_moe_law, c, std::vector{1e9, 2e10, 32.0}) < dense);
}

TEST_CASE("joint-moe: one number of experts is refused") {
  Table table = planted_table(joint_moe_law, true);
  for (double& experts : table.columns[2].values) experts = 8;
  CHECK(has_refusal(fit_law(table, {.law = "joint-moe", .bootstrap = 0}), "constant-input"));
}

TEST_SUITE("slow") {
  TEST_CASE(
      "joint-moe: the saturation is held unless bounded, and three numbers of experts leave it "
      "open") {
    const Table table = planted_table(joint_moe_law, true);
    FitOptions options{.law = "joint-moe", .bootstrap = 0};
    const Fit held = fit_law(table, options);
    const int start = find_coefficient(joint_moe_law, "E_start");
    CHECK(held.coefficients[start].fixed);
    CHECK(held.values()[start] == doctest::Approx(2.394).epsilon(1e-12));
    options.bounds = {{"E_start", {1.0, 30.0}}, {"E_max", {40.0, 1e5}}};
    const Fit freed = fit_law(table, options);
    REQUIRE_FALSE(freed.refused());
    CHECK_FALSE(freed.coefficients[start].fixed);
    // Two more coefficients gain no more than chance gives on 60 rows.
    CHECK(freed.objective_value <= held.objective_value);
    CHECK(freed.objective_value > 0.8 * held.objective_value);
    CHECK(diagnostics_of(freed).find("ill-conditioned") != std::string::npos);
  }
}

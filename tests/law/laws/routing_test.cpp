#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

TEST_CASE("routing: derivatives match finite differences") {
  check_derivatives(routing_law, {-0.084, -0.123, 0.0104, 1.12, 2.4, 218.0}, {3e8, 32.0});
  check_derivatives(routing_law, {-0.082, -0.108, 0.009, 1.104, 1.847, 314.5}, {1.5e7, 1.0});
}

TEST_CASE("routing: the S-Base and dense golden, 61 runs") {
  const Table table = read_table(law_data("routing/sbase_dense.csv"));
  const FitOptions options{.law = "routing", .objective = "least-squares", .bootstrap = 0};
  const Fit fit = fit_law(table, options);
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.points == 61);
  const double ln10 = std::log(10.0);
  // Half the sum of squares in ln L; the reference's is in log10 L.
  CHECK(fit.objective_value <= 0.5 * 61 * std::pow(0.0032026420108 * ln10, 2) * (1 + 1e-9));
  CHECK(fit.residual_rms / ln10 == doctest::Approx(0.00320264).epsilon(1e-5));
  const double refit[] = {-0.0837827, -0.1233686, 0.0104239, 1.1215599, 2.394217, 217.6549};
  for (int i = 0; i < 6; ++i) CHECK(fit.values()[i] == doctest::Approx(refit[i]).epsilon(1e-4));
  FitOptions published = options;
  published.fixed = {{"a", -0.082}, {"b", -0.108},      {"c", 0.009},
                     {"d", 1.104},  {"E_start", 1.847}, {"E_max", 314.5}};
  const Fit constants = fit_law(table, published);
  CHECK(constants.residual_rms / ln10 == doctest::Approx(0.00374).epsilon(2e-3));
  CHECK(fit.objective_value < constants.objective_value);
}

TEST_CASE("routing: recovers planted coefficients") {
  check_recovery(routing_law, 1e-4);
  check_noisy_recovery(routing_law);
}

TEST_CASE("routing: one number of experts, or experts that follow size, are refused") {
  Table table = planted_table(routing_law, true);
  for (double& experts : table.columns[1].values) experts = 64;
  CHECK(has_refusal(fit_law(table, {.law = "routing", .bootstrap = 0}), "constant-input"));
  for (size_t i = 0; i < table.rows; ++i)
    table.columns[1].values[i] = table.columns[0].values[i] / 1e7;
  CHECK(has_refusal(fit_law(table, {.law = "routing", .bootstrap = 0}), "collinear"));
}

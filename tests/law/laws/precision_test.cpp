#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

TEST_CASE("precision: derivatives match finite differences") {
  check_derivatives(precision_law, {2.76, 4299.0, 18060.0, 0.4965, 0.4965, 2.6745, 2.2102, 0.9578},
                    {1e8, 5e9, 4.0, 6.0, 3.0});
  check_derivatives(precision_law, {1.5, 300.0, 900.0, 0.3, 0.37, 1.0, 8.0, 3.0},
                    {1e9, 5e10, 8.0, 16.0, 8.0});
}

TEST_CASE("precision: recovers planted coefficients") {
  check_recovery(precision_law, 1e-3);
  check_noisy_recovery(precision_law, {}, 1);
}

TEST_CASE("precision: many bits give Chinchilla's law") {
  const std::vector<double> c = plant(precision_law).coefficients;
  CHECK(evaluate_law(precision_law, c, std::vector{1e8, 5e9, 200.0, 200.0, 200.0}) ==
        doctest::Approx(evaluate_law(chinchilla_law, std::vector{c[0], c[1], c[2], c[3], c[4]},
                                     std::vector{1e8, 5e9}))
            .epsilon(1e-12));
}

TEST_CASE("precision: a format held constant is refused, and fits with its sensitivity fixed") {
  Planted planted = plant(precision_law);
  for (std::vector<double>& point : planted.at) point[3] = point[4] = 16.0;
  const Table table = simulate(planted, 1, 0);
  FitOptions options{.law = "precision", .bootstrap = 0};
  CHECK(has_refusal(fit_law(table, options), "flat-profile"));
  options.fixed = {{"gamma_a", 2.2102}, {"gamma_kv", 0.9578}};
  const Fit fit = fit_law(table, options);
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.values()[find_coefficient(precision_law, "gamma_w")] ==
        doctest::Approx(2.6745).epsilon(0.05));
}

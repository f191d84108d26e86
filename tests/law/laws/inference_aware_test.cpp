#include <doctest/doctest.h>

#include "law/designed.h"
#include "law/fit.h"
#include "law/invert.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

TEST_CASE("inference-aware: derivatives match finite differences") {
  check_derivatives(inference_aware_law, typical_of(inference_aware_law), {1e9, 1e12});
}

TEST_CASE("inference-aware: recovers planted coefficients from over-trained runs") {
  const auto truth = typical_of(inference_aware_law);
  Rows rows;
  for (const double N : geometric(1.5e8, 6e9, 6))
    for (const double M : geometric(10, 5000, 6)) rows.push_back({N, N * M});
  const Fit exact = fit_law(planted(inference_aware_law, truth, rows),
                            {.law = "inference-aware", .bootstrap = 0});
  REQUIRE_FALSE(exact.refused());
  for (size_t i = 0; i < truth.size(); ++i)
    CHECK(exact.values()[i] == doctest::Approx(truth[i]).epsilon(1e-4));
  const Fit noisy =
      fit_law(planted(inference_aware_law, truth, rows, 0.003, 8), {.law = "inference-aware"});
  REQUIRE_FALSE(noisy.refused());
  CHECK(near_truth(noisy, truth));
}

TEST_CASE("solve_input: the input that gives a loss") {
  const auto c = typical_of(inference_aware_law);
  const double loss = evaluate_law(inference_aware_law, c, std::vector{7e9, 2e12});
  const double D = solve_input(inference_aware_law, c, {7e9, 0.0}, 1, loss, 1e6, 1e16);
  CHECK(D == doctest::Approx(2e12).epsilon(1e-9));
  const double N = solve_input(inference_aware_law, c, {0.0, 2e12}, 0, loss, 1e6, 1e16);
  CHECK(N == doctest::Approx(7e9).epsilon(1e-9));
  CHECK_THROWS_WITH(solve_input(inference_aware_law, c, {7e9, 0.0}, 1, 1.6, 1e6, 1e16),
                    doctest::Contains("takes no value 1.6 for D"));
}

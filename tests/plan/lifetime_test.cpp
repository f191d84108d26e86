#include "plan/lifetime.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "law/laws/laws.h"

using namespace rung;

namespace {

// The coefficients that the source computes with.
const std::vector<double> published = {1.69, 406.4, 410.7, 0.336, 0.283};

// Loss and tokens of the compute-optimal model of N parameters, in closed form.
struct Optimal {
  double loss, D;
};
Optimal compute_optimal(double N) {
  const double E = published[0], A = published[1], B = published[2];
  const double alpha = published[3], beta = published[4];
  const double D = std::pow(beta * B / (alpha * A) * std::pow(N, alpha), 1.0 / beta);
  return {E + A * std::pow(N, -alpha) + B * std::pow(D, -beta), D};
}

double saving(double N, double inference_tokens, LifetimeOptimum& best) {
  const auto [loss, D] = compute_optimal(N);
  best = lifetime_optimum(inference_aware_law, published, loss, inference_tokens);
  const double usual = 6 * N * D + 2 * N * inference_tokens;
  return 1.0 - (best.training_flops + best.inference_flops) / usual;
}

}  // namespace

TEST_CASE("lifetime: without inference it is the compute-optimal model") {
  LifetimeOptimum best;
  CHECK(saving(7e9, 0.0, best) == doctest::Approx(0.0).epsilon(1e-9));
  CHECK(best.N == doctest::Approx(7e9).epsilon(1e-3));
  CHECK(best.inference_flops == 0.0);
}

TEST_CASE("lifetime: the published savings") {
  LifetimeOptimum best;
  CHECK(saving(13e9, 2e12, best) == doctest::Approx(0.17).epsilon(0.03));
  CHECK(best.N == doctest::Approx(7e9).epsilon(0.01));
  CHECK(saving(30e9, 1e13, best) == doctest::Approx(0.28).epsilon(0.01));
  CHECK(best.N == doctest::Approx(13.6e9).epsilon(0.01));
  CHECK(evaluate_law(inference_aware_law, published, std::vector{best.N, best.D}) ==
        doctest::Approx(compute_optimal(30e9).loss).epsilon(1e-10));
}

TEST_CASE("lifetime: a loss below E, another law and negative demand are errors") {
  CHECK_THROWS_AS(lifetime_optimum(inference_aware_law, published, 1.6, 0.0), Error);
  CHECK_THROWS_AS(lifetime_optimum(power_law, {published.data(), 3}, 2.0, 0.0), Error);
  CHECK_THROWS_AS(lifetime_optimum(inference_aware_law, published, 2.0, -1.0), Error);
}

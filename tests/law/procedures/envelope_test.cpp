#include <doctest/doctest.h>

#include "law/predict.h"
#include "law/procedures/planted.h"

using namespace rung;

namespace {

// Training curves of `sizes` sizes, each from far below to far above its own optimal length.
Table curves(const Surface& surface, int sizes, int points, double noise, uint64_t seed) {
  std::vector<double> n, d, loss;
  Random random(seed, "curves");
  for (int i = 0; i < sizes; ++i) {
    const double size = 2e7 * std::pow(1.6, i);
    for (int j = 0; j < points; ++j) {
      n.push_back(size);
      d.push_back(size * 0.5 * std::pow(400.0, j / (points - 1.0)));
      loss.push_back(surface.loss(size, d.back()) * std::exp(noise * random.normal()));
    }
  }
  Table table;
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  return table;
}

}  // namespace

TEST_CASE("envelope: finds the planted optimum within the sizes' spacing") {
  const Surface surface{.A = 406.4, .B = 410.7, .alpha = 0.34, .beta = 0.28};
  const Fit fit = fit_law(curves(surface, 14, 60, 0.0, 1), {.law = "envelope", .bootstrap = 0});
  REQUIRE_FALSE(fit.refused());
  CHECK(estimate(fit, "a_N").value == doctest::Approx(surface.exponent()).epsilon(0.06));
  const double c = std::sqrt(fit.ranges.at("C").min * fit.ranges.at("C").max);
  CHECK(predict_loss(fit, {{"C", c}}) == doctest::Approx(surface.best_size(c)).epsilon(0.2));
  CHECK(find_diagnostic(fit, "biased-optimum"));
  CHECK(estimate(fit, "a_N").value + estimate(fit, "a_D").value == doctest::Approx(1.0));
}

TEST_CASE("envelope: noise widens its intervals, few crossing sizes are refused") {
  const FitOptions options{.law = "envelope", .bootstrap = 40, .threads = 1};
  const Fit quiet = fit_law(curves(Surface{}, 12, 40, 1e-4, 2), options);
  const Fit noisy = fit_law(curves(Surface{}, 12, 40, 3e-3, 2), options);
  REQUIRE_FALSE(quiet.refused());
  REQUIRE_FALSE(noisy.refused());
  CHECK(estimate(noisy, "a_N").se > 2 * estimate(quiet, "a_N").se);
  CHECK(find_diagnostic(fit_law(curves(Surface{}, 3, 40, 0.0, 2), options), "too-few-winners"));
}

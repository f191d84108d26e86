#include "study/lr_rule.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"

using namespace rung;

namespace {

constexpr double diverged = std::numeric_limits<double>::quiet_NaN();

// loss = best (1 + curvature (log2 lr - at)^2), with relative noise.
std::vector<BowlPoint> bowl(double at, double curvature, const std::vector<double>& octaves,
                            double noise = 0.0, uint64_t seed = 0) {
  Random random(seed, "bowl");
  std::vector<BowlPoint> points;
  for (const double x : octaves)
    points.push_back({std::exp2(x), 2.5 * (1.0 + curvature * (x - at) * (x - at)) *
                                        (1.0 + noise * random.normal())});
  return points;
}

}  // namespace

TEST_CASE("a planted parabola is recovered exactly without noise") {
  const BowlFit fit = fit_bowl(bowl(-0.6, 0.015, {-2, -1, 0, 1, 2}), 0.004);
  CHECK(fit.log2_lr == doctest::Approx(-0.6));
  CHECK(fit.loss == doctest::Approx(2.5));
  CHECK(fit.curvature == doctest::Approx(2.5 * 0.015));
  CHECK_FALSE(fit.at_edge);
  // The order of the points does not matter.
  auto points = bowl(-0.6, 0.015, {-2, -1, 0, 1, 2});
  std::swap(points[0], points[3]);
  CHECK(fit_bowl(points, 0.004).log2_lr == fit.log2_lr);
}

TEST_CASE("with noise the optimum is recovered and its error is of the stated size") {
  double square = 0.0, stated = 0.0;
  constexpr int draws = 300;
  for (int i = 0; i < draws; ++i) {
    const double at = -1.0 + 2.0 * i / (draws - 1);
    const BowlFit fit = fit_bowl(bowl(at, 0.015, {-2, -1, 0, 1, 2}, 0.004, i), 0.004);
    square += (fit.log2_lr - at) * (fit.log2_lr - at) / draws;
    stated += fit.se / draws;
  }
  CHECK(std::sqrt(square) < 0.25);  // octaves
  CHECK(stated > 0.5 * std::sqrt(square));
  CHECK(stated < 2.5 * std::sqrt(square));
}

TEST_CASE("an optimum beyond the line is flagged, stays on the line and is less certain") {
  const BowlFit inside = fit_bowl(bowl(0.0, 0.015, {-2, -1, 0, 1, 2}), 0.004);
  for (const double at : {-4.0, 4.0}) {
    const BowlFit fit = fit_bowl(bowl(at, 0.015, {-2, -1, 0, 1, 2}), 0.004);
    CHECK(fit.at_edge);
    CHECK(fit.log2_lr == doctest::Approx(at < 0 ? -2.0 : 2.0));
    CHECK(fit.se > inside.se + 0.4);
  }
}

TEST_CASE("diverged rates are left out, and too few points fall back on the given curvature") {
  auto points = bowl(0.3, 0.015, {-2, -1, 0, 1});
  points.push_back({4.0, diverged});
  points.push_back({8.0, std::numeric_limits<double>::infinity()});
  const BowlFit fit = fit_bowl(points, 0.004);
  CHECK(fit.log2_lr == doctest::Approx(0.3));
  CHECK_FALSE(fit.at_edge);
  const BowlFit two = fit_bowl({{0.5, 2.0}, {1.0, 2.1}, {2.0, diverged}}, 0.004, 0.02);
  CHECK(two.log2_lr == -1.0);
  CHECK(two.curvature == doctest::Approx(0.02 * 2.0));
  CHECK(two.at_edge);
  CHECK_THROWS_AS(fit_bowl({{0.5, diverged}, {1.0, diverged}}, 0.004), Error);
}

TEST_CASE("points far up the wall do not bend the bowl") {
  auto points = bowl(0.2, 0.015, {-2, -1, 0, 1, 2});
  points.push_back({16.0, 6.0});  // a run that nearly diverged
  CHECK(fit_bowl(points, 0.004).log2_lr == doctest::Approx(0.2));
}

TEST_CASE("a downward parabola is not believed") {
  const BowlFit fit = fit_bowl({{0.5, 2.00}, {1.0, 2.02}, {2.0, 2.01}}, 0.004);
  CHECK(fit.log2_lr == -1.0);
  CHECK(fit.at_edge);
}

TEST_CASE("the rule's slope is shrunk towards 0 by what the sweeps leave open") {
  const auto joined = [](double slope, double se, double prior) {
    std::vector<BowlFit> bowls;
    for (const double doublings : {0.0, 3.0})
      bowls.push_back({.log2_lr = -1.0 + slope * doublings, .se = se});
    return fit_lr_rule(bowls, {1e6, 8e6}, prior);
  };
  const LrRule sure = joined(-0.2, 1e-4, 0.1);
  CHECK(sure.slope == doctest::Approx(-0.2).epsilon(1e-3));
  CHECK(std::log2(sure.at(1e6)) == doctest::Approx(-1.0).epsilon(1e-3));
  CHECK(std::log2(sure.at(8e6)) == doctest::Approx(-1.6).epsilon(1e-3));
  CHECK(std::log2(sure.at(64e6)) == doctest::Approx(-2.2).epsilon(1e-3));
  // Posterior mean with x = +-1.5 octaves, precision 2 x^2 / se^2 against 1 / prior^2.
  const LrRule open = joined(-0.2, 0.3, 0.1);
  const double precision = 4.5 / 0.09;
  CHECK(open.slope == doctest::Approx(-0.2 * precision / (precision + 100.0)));
  CHECK(open.slope_se == doctest::Approx(1.0 / std::sqrt(precision + 100.0)));
  CHECK(std::abs(joined(-0.2, 30.0, 0.1).slope) < 1e-4);
}

TEST_CASE("one horizon gives a flat rule; none, or a mismatch, is an error") {
  const LrRule rule = fit_lr_rule({{.log2_lr = -0.5, .se = 0.1}}, {1e6});
  CHECK(rule.slope == 0.0);
  CHECK(rule.at(1e6) == doctest::Approx(std::exp2(-0.5)));
  CHECK(rule.at(1e9) == rule.at(1e6));
  CHECK_THROWS_AS(fit_lr_rule({}, {}), Error);
  CHECK_THROWS_AS(fit_lr_rule({{.log2_lr = 0.0, .se = 0.1}}, {1e6, 2e6}), Error);
}

TEST_CASE("the surer sweep counts for more") {
  const LrRule rule =
      fit_lr_rule({{.log2_lr = 0.0, .se = 0.05}, {.log2_lr = 1.0, .se = 0.5}}, {1e6, 1e6});
  CHECK(rule.log2_lr0 == doctest::Approx(0.01 / 1.01));
}

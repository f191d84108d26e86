#include <doctest/doctest.h>

#include "core/random.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/predict.h"

using namespace rung;

namespace {

// Rungs along a path: L = .9 + 300 N^-.4 with noise of the given deviation (in logs).
Table planted(int rungs, double sd, uint64_t seed) {
  Table table;
  std::vector<double> n, d, loss, deviation;
  Random random(seed, "planted");
  for (int i = 0; i < rungs; ++i) {
    n.push_back(5e4 * std::pow(2.2, i));
    d.push_back(20 * n.back());
    loss.push_back((0.9 + 300 * std::pow(n.back(), -0.4)) * std::exp(sd * random.normal()));
    deviation.push_back(sd * loss.back());
  }
  table.add("N", n);
  table.add("D", d);
  table.add("L", loss);
  table.add("sd", deviation);
  return table;
}

}  // namespace

TEST_CASE("power: derivatives match finite differences") {
  check_derivatives(power_law, {0.9, 300.0, 0.4}, {2e6});
  check_derivatives(power_law, {0.0, 12.0, 0.05}, {1e18});
}

TEST_CASE("power: recovers planted coefficients exactly without noise") {
  const Fit fit =
      fit_law(planted(7, 0.0, 1), {.law = "power", .columns = {{"x", "N"}}, .bootstrap = 20});
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.values()[0] == doctest::Approx(0.9).epsilon(1e-6));
  CHECK(fit.values()[1] == doctest::Approx(300).epsilon(1e-5));
  CHECK(fit.values()[2] == doctest::Approx(0.4).epsilon(1e-6));
  CHECK(fit.inputs == std::vector<std::string>{"N"});
}

TEST_CASE("power: C is the default input") {
  const Fit fit = fit_law(planted(7, 0.0, 1), {.law = "power", .bootstrap = 20});
  CHECK(fit.inputs == std::vector<std::string>{"C"});
  CHECK(fit.values()[2] == doctest::Approx(0.2).epsilon(1e-6));
  const Prediction at = predict(fit, {{"N", 1e8}, {"D", 2e9}}, 0.9);
  CHECK(at.loss == doctest::Approx(0.9 + 300 * std::pow(1e8, -0.4)).epsilon(1e-6));
}

TEST_CASE("power: 90 % intervals of six noisy rungs cover a target four times beyond") {
  int inside = 0;
  const int ladders = 100;
  for (int i = 0; i < ladders; ++i) {
    const Table table = planted(6, 0.004, 100 + i);
    const FitOptions options{.law = "power",
                             .columns = {{"x", "N"}},
                             .objective = "least-squares",
                             .sd_column = "sd",
                             .bootstrap = 200,
                             .threads = 1,
                             .refuse = false};
    const Fit fit = fit_law(table, options);
    const double n = 4 * 5e4 * std::pow(2.2, 5);
    Random random(7, "target", i);
    const double measured = (0.9 + 300 * std::pow(n, -0.4)) * std::exp(0.004 * random.normal());
    const Prediction at = predict(fit, {{"N", n}}, 0.9);
    inside += measured >= at.lo && measured <= at.hi;
  }
  MESSAGE("covered " << inside << " of " << ladders);
  CHECK(inside >= 80);
  CHECK(inside <= 99);
}

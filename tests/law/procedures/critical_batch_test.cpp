#include <doctest/doctest.h>

#include "law/law_data.h"
#include "law/predict.h"
#include "law/procedures/planted.h"

using namespace rung;

namespace {

// Steps a + b/B of models whose critical batch b/(5 a) + 1.2 * 256 is 90 x^.5.
Table planted_steps(double noise, uint64_t seed) {
  std::vector<double> x, batch, steps;
  Random random(seed, "steps");
  for (const double size : {50.0, 100.0, 200.0, 400.0, 800.0, 1600.0})
    for (double b = 64; b <= 16384; b *= 2) {
      const double scale = 5 * (90 * std::sqrt(size) - 1.2 * 256), a = 1000;
      x.push_back(size);
      batch.push_back(b);
      steps.push_back((a + scale * a / b) * std::exp(noise * random.normal()));
    }
  Table table;
  table.add("size", x);
  table.add("B", batch);
  table.add("steps", steps);
  return table;
}

}  // namespace

TEST_CASE("critical-batch: the golden of five models") {
  const Fit fit = fit_law(read_table(law_data("critical-batch/cbs_steps_derived.csv")),
                          {.law = "critical-batch", .bootstrap = 200, .threads = 1});
  REQUIRE_FALSE(fit.refused());
  const double published[] = {745, 955, 1394, 1889, 2533};
  const Json& models = fit.derivation["models"];
  REQUIRE(models.size() == 5);
  for (int i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(std::fabs(models[i]["cbs"].get<double>() - published[i]) < 0.5);
  }
  CHECK(estimate(fit, "k").value == doctest::Approx(93.197).epsilon(1e-5));
  CHECK(estimate(fit, "a").value == doctest::Approx(0.46828).epsilon(1e-5));
  CHECK(estimate(fit, "a").se > 0.0);
  CHECK(fit.inputs == std::vector<std::string>{"model_size_M"});
  CHECK(predict(fit, {{"model_size_M", 7000}}).loss ==
        doctest::Approx(93.197 * std::pow(7000, 0.46828)).epsilon(1e-4));
}

TEST_CASE("critical-batch: recovers a planted law") {
  const Fit exact = fit_law(planted_steps(0.0, 1),
                            {.law = "critical-batch", .columns = {{"x", "size"}}, .bootstrap = 0});
  CHECK(estimate(exact, "k").value == doctest::Approx(90).epsilon(1e-4));
  CHECK(estimate(exact, "a").value == doctest::Approx(0.5).epsilon(1e-5));
}

TEST_CASE("critical-batch: its intervals cover the planted exponent" *
          doctest::test_suite("slow")) {
  FitOptions options{.law = "critical-batch", .columns = {{"x", "size"}}, .threads = 1};
  int inside = 0;
  options.bootstrap = 100;
  for (int i = 0; i < 40; ++i) {
    const Fit fit = fit_law(planted_steps(0.02, 20 + i), options);
    inside += estimate(fit, "a").lo <= 0.5 && 0.5 <= estimate(fit, "a").hi;
  }
  CAPTURE(inside);
  CHECK(inside >= 31);
}

TEST_CASE("critical-batch: models without a bend are left out, too few are refused") {
  Table table = planted_steps(0.0, 1);
  for (size_t i = 0; i < table.rows; ++i)  // all but two models: only the linear regime
    if (table.columns[0].values[i] > 100)
      table.columns[2].values[i] = 1e6 / table.columns[1].values[i];
  const Fit fit = fit_law(table, {.law = "critical-batch", .columns = {{"x", "size"}}});
  CHECK(fit.refused());
  CHECK(find_diagnostic(fit, "dropped-model"));
  CHECK(find_diagnostic(fit, "too-few-models"));
}

TEST_CASE("noise-scale: of two batches it is the source's pair of unbiased estimates") {
  // Squared norms of batches 8 and 512 at four sizes; equation A.2 by hand.
  const double size[] = {1e7, 1e8, 1e9, 1e10}, small = 8.0, big = 512.0;
  Table table;
  std::vector<double> n, batch, norm;
  for (int i = 0; i < 4; ++i)
    for (const double b : {small, big}) {
      n.push_back(size[i]);
      batch.push_back(b);
      norm.push_back(b == small ? 0.9 + 0.2 * i : 0.11 - 0.02 * i);
    }
  table.add("N", n);
  table.add("B", batch);
  table.add("G2", norm);
  const Fit fit = fit_law(table, {.law = "noise-scale", .bootstrap = 0});
  const Json& groups = fit.derivation["groups"];
  REQUIRE(groups.size() == 4);
  for (int i = 0; i < 4; ++i) {
    const double of_small = norm[2 * i], of_big = norm[2 * i + 1];
    const double g2 = (big * of_big - small * of_small) / (big - small);
    const double trace = (of_small - of_big) / (1 / small - 1 / big);
    CHECK(groups[i]["gradient_squared"].get<double>() == doctest::Approx(g2).epsilon(1e-9));
    CHECK(groups[i]["noise_trace"].get<double>() == doctest::Approx(trace).epsilon(1e-9));
    CHECK(groups[i]["B_noise"].get<double>() == doctest::Approx(trace / g2).epsilon(1e-9));
  }
}

TEST_CASE("noise-scale: two measurements of one truth") {
  std::vector<double> n, batch, norm;
  Random random(3, "norms");
  for (const double size : {1e7, 3e7, 1e8, 3e8, 1e9})
    for (const double b : {16.0, 64.0, 256.0, 1024.0, 4096.0}) {
      const double trace = 0.3 * std::pow(size, 0.4);  // |G|^2 = 0.01: B_noise = 30 N^.4
      n.push_back(size);
      batch.push_back(b);
      norm.push_back((0.01 + trace / 100 / b) * std::exp(0.01 * random.normal()));
    }
  Table table;
  table.add("N", n);
  table.add("B", batch);
  table.add("G2", norm);
  const Fit fit = fit_law(table, {.law = "noise-scale", .bootstrap = 200, .threads = 1});
  REQUIRE_FALSE(fit.refused());
  CHECK(estimate(fit, "a").se < 0.03);
  CHECK(std::fabs(estimate(fit, "a").value - 0.4) < 4 * estimate(fit, "a").se);
  CHECK(predict(fit, {{"N", 1e8}}).loss == doctest::Approx(0.3 * std::pow(1e8, 0.4)).epsilon(0.05));
  for (double& b : table.columns[1].values) b = 64;
  CHECK(find_diagnostic(fit_law(table, {.law = "noise-scale"}), "too-few-groups"));
}

TEST_CASE("noise-scale: a steep power of the loss, which varies little") {
  // Kaplan et al. 2020: the critical batch goes with L^-4.76; nearer to E it is steeper.
  Table table;
  std::vector<double> loss, batch, norm;
  for (const double l : {3.8, 3.6, 3.4, 3.2, 3.0})
    for (const double b : {16.0, 128.0, 1024.0}) {
      loss.push_back(l);
      batch.push_back(b);
      norm.push_back(0.01 + 0.01 * 500.0 * std::pow(l / 3.0, -9.0) / b);
    }
  table.add("L", loss);
  table.add("B", batch);
  table.add("G2", norm);
  const Fit fit = fit_law(table, {.law = "noise-scale", .columns = {{"x", "L"}}, .bootstrap = 0});
  REQUIRE_FALSE(fit.refused());
  CHECK(estimate(fit, "a").value == doctest::Approx(-9.0).epsilon(1e-4));
}

#include "scaling/unit_scaling.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/random.h"

using namespace rung;

namespace {

bool near(double value, double golden, double tolerance = 1e-5) {
  return std::abs(value - golden) <= tolerance;
}

// Deviation (about zero or the mean) of f over n standard normal pairs.
template <class F>
double deviation(F&& f, bool centred) {
  Random random(7, "unit");
  double sum = 0.0, squares = 0.0;
  constexpr int n = 200'000;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    const double g = random.normal();
    const double y = f(x, g);
    sum += y;
    squares += y * y;
  }
  return std::sqrt(squares / n - (centred ? sum * sum / n / n : 0.0));
}

double phi(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0));
}
double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

}  // namespace

TEST_CASE("unit-scaling factors give the reference's golden values") {
  CHECK(near(gelu_factor(0.25).forward, 1.93896));
  CHECK(near(gelu_factor(1).forward, 1.76678));
  CHECK(near(gelu_factor(4).forward, 1.71695));
  CHECK(near(gelu_factor(0.25).backward, 1.86607));
  CHECK(near(gelu_factor(1).backward, 1.51572));
  CHECK(near(gelu_factor(4).backward, 1.42177));
  CHECK(near(silu_glu_factor(0.25).forward, 1.95964));
  CHECK(near(silu_glu_factor(1).forward, 1.68179));
  CHECK(near(silu_glu_factor(4).forward, 1.44334));
  CHECK(silu_glu_factor(4).backward == silu_glu_factor(4).forward);
  CHECK(near(attention_factor(1, 64, 256, true), 6.74410));
  CHECK(near(attention_factor(1, 64, 1024, true), 12.03695));
  CHECK(near(attention_factor(4, 64, 1024, true), 10.49371));
  CHECK(near(attention_factor(1, 64, 1024, false), 31.57137));
  CHECK(near(cross_entropy_factor(256), 16.03134));
  const std::vector<double> taus = residual_taus(std::vector<bool>(8, true), 1, 1);
  const std::array<double, 8> golden{0.5,     .447214, .408248, .377964,
                                     .353553, .333333, .316228, .301511};
  REQUIRE(taus.size() == golden.size());
  for (size_t i = 0; i < golden.size(); ++i) CHECK(near(taus[i], golden[i], 1e-6));
}

TEST_CASE("a context of one token has a finite attention factor") {
  CHECK(attention_factor(1, 16, 1, true) == doctest::Approx(1.0));
  CHECK(attention_factor(1, 16, 1, false) == doctest::Approx(1.0));
  CHECK_THROWS(attention_factor(1, 16, 0, true));
}

TEST_CASE("branches that are not there leave the stream alone, the others share it evenly") {
  const std::vector<bool> there{true, false, true, true, true, false};
  const std::vector<ResidualFactor> factors = residual_factors(there, 1.0, 1.0);
  double embedding = 1.0;
  std::vector<double> share(there.size(), 0.0);
  for (size_t b = 0; b < there.size(); ++b) {
    const double skip = factors[b].skip * factors[b].skip;
    if (!there[b]) CHECK((factors[b].skip == 1.0 && factors[b].branch == 0.0));
    embedding *= skip;
    for (double& s : share) s *= skip;
    share[b] = factors[b].branch * factors[b].branch;
  }
  CHECK(embedding == doctest::Approx(1.0 / 3.0));
  for (size_t b = 0; b < there.size(); ++b)
    CHECK(share[b] == doctest::Approx(there[b] ? 1.0 / 6.0 : 0.0));
}

TEST_CASE("residual taus make embedding, attention and ffn equal thirds of the stream") {
  for (const double ratio : {0.25, 1.0, 3.0}) {
    const std::vector<ResidualFactor> factors =
        residual_factors(std::vector<bool>(12, true), 1.0, ratio);
    double embedding = 1.0, attention = 0.0, ffn = 0.0;
    for (size_t l = 0; l < factors.size(); ++l) {
      const double skip = factors[l].skip * factors[l].skip,
                   branch = factors[l].branch * factors[l].branch;
      CHECK(skip + branch == doctest::Approx(1.0));
      CHECK(factors[l].delayed);
      embedding *= skip;
      attention = attention * skip + (l % 2 == 0 ? branch : 0.0);
      ffn = ffn * skip + (l % 2 == 1 ? branch : 0.0);
    }
    CHECK(embedding + attention + ffn == doctest::Approx(1.0));
    CHECK(embedding == doctest::Approx(1.0 / 3.0));
    CHECK(attention / ffn == doctest::Approx(ratio * ratio));
  }
}

TEST_CASE("factors bring simulated activations to unit scale") {
  for (const double m : {0.25, 1.0, 4.0}) {
    CAPTURE(m);
    const auto gelu = [&](double x, double) { return x * phi(m * x); };
    CHECK(deviation(gelu, true) * gelu_factor(m).forward == doctest::Approx(1.0).epsilon(0.05));
    const auto silu = [&](double x, double) { return x * sigmoid(m * x); };
    CHECK(deviation(silu, true) * silu_factor(m).forward == doctest::Approx(1.0).epsilon(0.06));
    const auto swiglu = [&](double x, double g) { return x * g * sigmoid(m * g); };
    CHECK(deviation(swiglu, false) * silu_glu_factor(m).forward ==
          doctest::Approx(1.0).epsilon(0.06));
    const auto geglu = [&](double x, double g) { return x * g * phi(m * g); };
    CHECK(deviation(geglu, false) * gelu_glu_factor(m).forward ==
          doctest::Approx(1.0).epsilon(0.05));
  }
  const auto relu2 = [](double x, double) { return x > 0.0 ? x * x : 0.0; };
  const auto slope = [](double x, double) { return x > 0.0 ? 2.0 * x : 0.0; };
  CHECK(deviation(relu2, true) * relu_squared_factor().forward ==
        doctest::Approx(1.0).epsilon(0.02));
  CHECK(deviation(slope, false) * relu_squared_factor().backward ==
        doctest::Approx(1.0).epsilon(0.02));
}

TEST_CASE("the other ops") {
  CHECK(softmax_factor(1, 16).forward ==
        doctest::Approx(std::exp(0.2 * std::log(4) + 0.8 * std::log(16))));
  CHECK(softmax_factor(1, 16).backward == doctest::Approx(softmax_factor(1, 16).forward));
  const MatmulFactor f = matmul_factor(64, 256, 1024);
  CHECK(f.output == doctest::Approx(0.125));
  CHECK(f.input_gradient == doctest::Approx(1.0 / 16));
  CHECK(f.weight_gradient == doctest::Approx(1.0 / 32));
  CHECK(norm_gain_factor(64, 64 * 100) == doctest::Approx(0.1));
  CHECK(dropout_factor(0.36) == doctest::Approx(0.8));
  CHECK(add_factor() == doctest::Approx(std::sqrt(0.5)));
  CHECK(mse_gradient_factor() == doctest::Approx(std::sqrt(0.125)));
  CHECK(attention_logit_factor(3, 64) == doctest::Approx(3.0 / 64));
  CHECK_THROWS(ffn_factor("maxout", ModelConfig{}, 1.0));
}

#include <doctest/doctest.h>

#include "law/designed.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/procedures/planted.h"

using namespace rung;

namespace {

// The exponent of the compute-optimal N (without embeddings) in C = 6 N D, between two budgets.
double optimal_exponent(const std::vector<double>& c, double C_lo, double C_hi) {
  const auto optimum = [&](double C) {
    double best = 0.0, best_loss = 1e300;
    for (const double N : geometric(1e2, 1e12, 20001)) {
      const double loss = evaluate_law(kaplan_chinchilla_law, c, std::vector{N, C / (6 * N)});
      if (loss < best_loss) best_loss = loss, best = N;
    }
    return best;
  };
  return std::log(optimum(C_hi) / optimum(C_lo)) / std::log(C_hi / C_lo);
}

}  // namespace

TEST_CASE("kaplan-chinchilla: derivatives match finite differences") {
  check_derivatives(kaplan_chinchilla_law, typical_of(kaplan_chinchilla_law), {1e6, 3e9});
  check_derivatives(warmup_law, typical_of(warmup_law), {1e8, 4e9, 1.5e9});
}

TEST_CASE("kaplan-chinchilla: Kaplan's budgets show Kaplan's exponent, large ones Chinchilla's") {
  const auto c = typical_of(kaplan_chinchilla_law);
  // Sizes of 3e3 to 2e9, the range of Kaplan's models, whose exponent was 0.73 there.
  CHECK(optimal_exponent(c, 1e13, 1e21) == doctest::Approx(0.73).epsilon(0.03));
  const double limit = c[4] / (c[3] + c[4]);
  CHECK(optimal_exponent(c, 1e24, 1e26) == doctest::Approx(limit).epsilon(0.01));
}

TEST_CASE("kaplan-chinchilla: recovers planted coefficients, omega included") {
  const auto truth = typical_of(kaplan_chinchilla_law);
  const Rows rows = product({geometric(1e4, 1.5e9, 7), geometric(1e8, 1e11, 5)});
  const Fit exact = fit_law(planted(kaplan_chinchilla_law, truth, rows),
                            {.law = "kaplan-chinchilla", .bootstrap = 0});
  REQUIRE_FALSE(exact.refused());
  for (size_t i = 0; i < truth.size(); ++i)
    CHECK(exact.values()[i] == doctest::Approx(truth[i]).epsilon(1e-3));
  const Fit noisy = fit_law(planted(kaplan_chinchilla_law, truth, rows, 0.003, 2),
                            {.law = "kaplan-chinchilla", .bootstrap = 200});
  REQUIRE_FALSE(noisy.refused());
  CHECK(noisy.values()[5] == doctest::Approx(47491).epsilon(0.2));
  CHECK(near_truth(noisy, truth));
}

TEST_CASE("kaplan-chinchilla: large models leave omega open, with a warning") {
  const auto truth = typical_of(kaplan_chinchilla_law);
  const Rows rows = product({geometric(3e10, 1e13, 6), geometric(1e11, 1e14, 5)});
  const Fit fit = fit_law(planted(kaplan_chinchilla_law, truth, rows, 0.003, 3),
                          {.law = "kaplan-chinchilla", .bootstrap = 0});
  CHECK((find_diagnostic(fit, "flat-profile") || find_diagnostic(fit, "at-bound")));
}

TEST_CASE("warmup: one of Kaplan's length steepens the optimum, one of N tokens does not") {
  const auto c = typical_of(warmup_law);
  // The exponent of the compute-optimal N between 1e17 and 1e19 FLOPs.
  const auto exponent = [&](auto warmup) {
    const auto optimum = [&](double C) {
      double best = 0.0, best_loss = 1e300;
      for (const double N : geometric(1e5, 1e10, 20001)) {
        const double D = C / (6 * N), W = warmup(N);
        if (D < W) continue;
        const double loss = evaluate_law(warmup_law, c, std::vector{N, D, W});
        if (loss < best_loss) best_loss = loss, best = N;
      }
      return best;
    };
    return std::log(optimum(1e19) / optimum(1e17)) / std::log(1e2);
  };
  const double none = exponent([](double) { return 1.0; });
  CHECK(none == doctest::Approx(c[4] / (c[3] + c[4])).epsilon(0.01));
  CHECK(exponent([](double N) { return N; }) == doctest::Approx(none).epsilon(0.02));
  CHECK(exponent([](double) { return 3000.0 * (1 << 19); }) > none + 0.08);
}

TEST_CASE("warmup: recovers the lost share, also where every run has the same warm-up") {
  const auto truth = typical_of(warmup_law);
  const Rows rows = product({geometric(5e6, 1.5e9, 6), geometric(1e9, 1e11, 6), {9e8}});
  const Fit exact = fit_law(planted(warmup_law, truth, rows), {.law = "warmup", .bootstrap = 0});
  REQUIRE_FALSE(exact.refused());
  for (size_t i = 0; i < truth.size(); ++i)
    CHECK(exact.values()[i] == doctest::Approx(truth[i]).epsilon(1e-3));
  const Fit noisy = fit_law(planted(warmup_law, truth, rows, 0.003, 4), {.law = "warmup"});
  REQUIRE_FALSE(noisy.refused());
  CHECK(near_truth(noisy, truth));
  CHECK(noisy.coefficients[5].se < 0.1);
}

TEST_CASE("warmup: short warm-ups leave the lost share open, with a warning") {
  const auto truth = typical_of(warmup_law);
  const Rows rows = product({geometric(5e6, 1.5e9, 6), geometric(1e11, 4e13, 6), {1e6}});
  const Fit fit =
      fit_law(planted(warmup_law, truth, rows, 0.003, 4), {.law = "warmup", .bootstrap = 0});
  CHECK((find_diagnostic(fit, "flat-profile") || find_diagnostic(fit, "at-bound")));
}

#include <doctest/doctest.h>

#include "law/designed.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

TEST_CASE("upcycling: derivatives match finite differences") {
  check_derivatives(upcycling_law, typical_of(upcycling_law), {1e9, 3e10});
  check_derivatives(upcycling_law, {6600.0, 0.3, 0.32, 0.01, 2.0}, {1e9, 3e10});
  check_derivatives(upcycling_law, {50.0, 0.1, 0.05, -0.002, 1.0}, {2e10, 1e9});
}

TEST_CASE("upcycling: recovers planted coefficients") {
  check_recovery(upcycling_law, 1e-3);
  check_noisy_recovery(upcycling_law);
}

TEST_CASE("upcycling: by the published table a head start wins on small budgets only") {
  // Table 2 at N = 1e9: upcycled (the typical values), and from scratch 32.0 D^-0.161 + 7.05
  // N^-0.080.
  std::vector<double> upcycled = typical_of(upcycling_law);
  upcycled[4] = 0.165 + 8.53 * std::pow(1e9, -0.112);
  CHECK(upcycled[4] == doctest::Approx(typical_of(upcycling_law)[4]).epsilon(0.01));
  const std::vector<double> scratch = {0.165, 7.05, 32.0, 0.080, 0.161};
  const auto gain = [&](double D1, double D2) {
    return evaluate_law(chinchilla_law, scratch, std::vector{1e9, D2}) -
           evaluate_law(upcycling_law, upcycled, std::vector{D1, D2});
  };
  CHECK(gain(1e11, 1e10) > 0.05);
  CHECK(gain(1e11, 1e12) < -0.03);
  // The longer the first stage, the less a decade of the second brings.
  const auto decade = [&](double D1) { return gain(D1, 1e10) - gain(D1, 1e11); };
  CHECK(decade(1e12) > decade(1e10));
}

TEST_CASE("upcycling: D2 that follows D1 is refused") {
  Table table = planted_table(upcycling_law, true);
  for (size_t i = 0; i < table.rows; ++i)
    table.columns[1].values[i] = 3 * table.columns[0].values[i];
  CHECK(has_refusal(fit_law(table, {.law = "upcycling", .bootstrap = 0}), "collinear"));
}

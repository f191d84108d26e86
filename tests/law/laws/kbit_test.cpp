#include <doctest/doctest.h>

#include "law/designed.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

TEST_CASE("k-bit: derivatives match finite differences") {
  check_derivatives(kbit_law, typical_of(kbit_law), {3e9, 4});
}

TEST_CASE("k-bit: at fixed total bits four bits are best, as published") {
  const auto c = typical_of(kbit_law);
  for (const double total : {8e9, 1e11, 1e12}) {
    double best = 0.0;
    int best_bits = 0;
    for (const int bits : {3, 4, 5, 6, 8, 16}) {
      const double accuracy = evaluate_law(kbit_law, c, std::vector{total / bits, double(bits)});
      if (accuracy > best) best = accuracy, best_bits = bits;
    }
    CHECK(best_bits == 4);
  }
}

TEST_CASE("k-bit: recovers planted coefficients, with and without noise") {
  const auto truth = typical_of(kbit_law);
  const Rows rows = product({geometric(1.25e8, 6.6e10, 6), {3, 4, 5, 6, 8}});
  const Fit exact = fit_law(planted(kbit_law, truth, rows), {.law = "k-bit", .bootstrap = 0});
  REQUIRE_FALSE(exact.refused());
  for (size_t i = 0; i < truth.size(); ++i)
    CHECK(exact.values()[i] == doctest::Approx(truth[i]).epsilon(1e-5));
  const Fit noisy = fit_law(planted(kbit_law, truth, rows, 0.005, 12), {.law = "k-bit"});
  REQUIRE_FALSE(noisy.refused());
  CHECK(near_truth(noisy, truth));
}

TEST_CASE("k-bit: precisions that cost nothing do not determine the cost") {
  const Rows rows = product({geometric(1.25e8, 6.6e10, 6), {8, 12, 16}});
  const Table table = planted(kbit_law, typical_of(kbit_law), rows, 0.005, 12);
  CHECK(fit_law(table, {.law = "k-bit", .bootstrap = 0}).refused());
}

#include <doctest/doctest.h>

#include "law/designed.h"
#include "law/fit.h"
#include "law/invert.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

TEST_CASE("densing: derivatives match finite differences") {
  check_derivatives(densing_law, typical_of(densing_law), {300});
}

TEST_CASE("densing: the published rate doubles in 3.3 months") {
  const auto c = typical_of(densing_law);
  const double month = 365.25 / 12;
  CHECK(evaluate_law(densing_law, c, std::vector{100 + 3.3 * month}) /
            evaluate_law(densing_law, c, std::vector{100.0}) ==
        doctest::Approx(2.0).epsilon(0.02));
}

TEST_CASE("densing: recovers growth from dates counted from anywhere") {
  for (const double first : {10.0, 19500.0}) {
    Rows rows;
    for (int i = 0; i < 24; ++i) rows.push_back({first + 27.0 * i});
    const std::vector<double> truth = {0.007, -1.0 - 0.007 * first};
    const Fit exact =
        fit_law(planted(densing_law, truth, rows), {.law = "densing", .bootstrap = 0});
    REQUIRE_FALSE(exact.refused());
    CHECK(exact.values()[0] == doctest::Approx(0.007).epsilon(1e-6));
    const Fit noisy = fit_law(planted(densing_law, truth, rows, 0.2, 5), {.law = "densing"});
    REQUIRE_FALSE(noisy.refused());
    CHECK(near_truth(noisy, truth));
  }
}

TEST_CASE("densing: effective parameters of a denser model") {
  // A reference family and a model that is twice as dense: half the size for the same loss.
  const auto reference = typical_of(chinchilla_law);
  const double loss = evaluate_law(chinchilla_law, reference, std::vector{8e9, 1e12});
  const double effective = solve_input(chinchilla_law, reference, {0.0, 1e12}, 0, loss, 1e6, 1e13);
  CHECK(effective / 4e9 == doctest::Approx(2.0).epsilon(1e-9));
}

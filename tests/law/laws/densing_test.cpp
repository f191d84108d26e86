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

TEST_CASE("densing: the published rate doubles in 95 days, from below 0.1 to 3") {
  const auto c = typical_of(densing_law);
  const auto density = [&](double day) { return evaluate_law(densing_law, c, std::vector{day}); };
  CHECK(density(195.0) / density(100.0) == doctest::Approx(2.0).epsilon(0.001));
  // Llama-1 of February 2023 and the densest models of early September 2024.
  CHECK(density(1e-9) < 0.1);
  CHECK(density(559.0) == doctest::Approx(3.0).epsilon(0.05));
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

TEST_CASE("densing: effective parameters of a score are those of the source's equation 4") {
  // Its symbols: S = c/(1 + e^-gamma (L - l)) + d with gamma < 0, L = a N^-alpha + b D^-beta.
  const double c = 0.7, d = 0.25, gamma = -6.0, l = 1.1, score = 0.6;
  const double a = 60.0, alpha = 0.2, b = 90.0, beta = 0.25, tokens = 1e12;
  const double loss = l - std::log(c / (score - d) - 1) / gamma;
  const double effective = std::pow((loss - b * std::pow(tokens, -beta)) / a, -1 / alpha);
  const double from_score =
      solve_input(sigmoid_law, std::vector{c, d, -gamma, l}, {0.0}, 0, score, 0.05, 10.0);
  CHECK(from_score == doctest::Approx(loss).epsilon(1e-9));
  CHECK(solve_input(chinchilla_law, std::vector{0.0, a, b, alpha, beta}, {0.0, tokens}, 0,
                    from_score, 1e5, 1e15) == doctest::Approx(effective).epsilon(1e-7));
}

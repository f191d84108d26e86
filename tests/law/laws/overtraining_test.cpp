#include <doctest/doctest.h>

#include "law/designed.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/predict.h"

using namespace rung;

namespace {

// The five RedPajama runs that the source fits: four sizes at 20 tokens per parameter, the least
// one also at 320. Losses on C4.
FitOptions source_rows() {
  FitOptions options{.law = "overtraining", .bootstrap = 0};
  options.columns["L"] = "c4_loss";
  options.where =
      "dataset == 'rpj' and N < 5e8 and (multiplier == 1 or (multiplier == 16 and N < 2e7))";
  return options;
}

Table source_table() {
  return read_table(law_data("overtraining/points.csv"));
}

}  // namespace

TEST_CASE("overtraining: derivatives match finite differences") {
  check_derivatives(overtraining_law, typical_of(overtraining_law), {1e8, 3e9});
}

TEST_CASE("overtraining: it is chinchilla's law with equal exponents") {
  const auto c = typical_of(overtraining_law);
  const double scale = std::pow(6.0, -c[3]);
  const std::vector<double> twin = {c[0], c[1] * scale, c[2] * scale, 2 * c[3], 2 * c[3]};
  const std::vector<double> at = {3e8, 5e10};
  CHECK(evaluate_law(overtraining_law, c, at) ==
        doctest::Approx(evaluate_law(chinchilla_law, twin, at)).epsilon(1e-12));
}

TEST_CASE("overtraining: the source's fit and its two predictions") {
  // Raw least squares, as in the source: Huber with a threshold beyond every residual.
  FitOptions options = source_rows();
  options.objective = "huber";
  options.delta = 100.0;
  const Fit fit = fit_law(source_table(), options);
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.points == 5);
  const auto error = [&](double N, double D, double measured) {
    return std::fabs(predict_loss(fit, {{"N", N}, {"D", D}}) / measured - 1.0);
  };
  // 1.4B at 640 tokens per parameter and 6.9B at 20: 0.7103 % and 0.7320 % in the source.
  CHECK(error(1439795200, 921468928000, 2.502053562) == doctest::Approx(0.007103).epsilon(1e-3));
  CHECK(error(6889410560, 137788211200, 2.424993099) == doctest::Approx(0.007320).epsilon(1e-3));
}

TEST_CASE("overtraining: least squares of logs on the source's five runs") {
  FitOptions options = source_rows();
  options.objective = "least-squares";
  const Fit fit = fit_law(source_table(), options);
  REQUIRE_FALSE(fit.refused());
  // scipy's trust-region optimum of the same objective.
  CHECK(fit.objective_value <= 1.6171669689613495e-5 * (1 + 1e-6));
  CHECK(fit.values()[0] == doctest::Approx(1.86226).epsilon(1e-3));
  CHECK(fit.values()[3] == doctest::Approx(0.138030).epsilon(1e-3));
}

TEST_CASE("overtraining: noisy coefficients lie near the planted ones") {
  const auto truth = typical_of(overtraining_law);
  const Rows rows = product({geometric(1e7, 1e9, 5), geometric(4e8, 1e11, 5)});
  const Fit fit =
      fit_law(planted(overtraining_law, truth, rows, 0.005, 3), {.law = "overtraining"});
  REQUIRE_FALSE(fit.refused());
  CHECK(near_truth(fit, truth));
  CHECK(fit.values()[3] == doctest::Approx(truth[3]).epsilon(0.15));
}

TEST_CASE("overtraining: one ratio of tokens to parameters is refused") {
  Rows rows;
  for (const double N : geometric(1e7, 1e9, 8)) rows.push_back({N, 20 * N});
  const Table table = planted(overtraining_law, typical_of(overtraining_law), rows);
  CHECK(fit_law(table, {.law = "overtraining", .bootstrap = 0}).refused());
}

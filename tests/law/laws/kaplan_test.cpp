#include <doctest/doctest.h>

#include "law/designed.h"
#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"

using namespace rung;

namespace {

// Sizes and data of the source's sweep.
Rows sweep() {
  return product({geometric(4e5, 7e8, 6), geometric(2.2e7, 2.3e10, 6)});
}

void check_close(const Fit& fit, const std::vector<double>& truth, double tolerance) {
  REQUIRE_FALSE(fit.refused());
  for (size_t i = 0; i < truth.size(); ++i) {
    CAPTURE(fit.coefficients[i].name);
    CHECK(fit.values()[i] == doctest::Approx(truth[i]).epsilon(tolerance));
  }
}

}  // namespace

TEST_CASE("kaplan: derivatives match finite differences") {
  check_derivatives(kaplan_law, typical_of(kaplan_law), {1e8, 3e9});
  check_derivatives(kaplan_law, {1e9, 1e10, 0.4, 0.2}, {1e5, 1e7});
  check_derivatives(kaplan_size_law, typical_of(kaplan_size_law), {3e7});
}

TEST_CASE("kaplan: the joint law reduces to the separate ones") {
  const auto c = typical_of(kaplan_law);
  const double size_alone = evaluate_law(kaplan_law, c, std::vector{1e8, 1e30});
  CHECK(size_alone == doctest::Approx(std::pow(6.4e13 / 1e8, 0.076)).epsilon(1e-9));
  const double data_alone = evaluate_law(kaplan_law, c, std::vector{1e30, 1e9});
  CHECK(data_alone == doctest::Approx(std::pow(1.8e13 / 1e9, 0.103)).epsilon(1e-6));
}

TEST_CASE("kaplan: recovers planted coefficients") {
  for (const std::vector<double>& truth :
       {typical_of(kaplan_law), std::vector{3e10, 2e11, 0.15, 0.2},
        std::vector{1e9, 1e18, 0.3, 0.05}})
    check_close(fit_law(planted(kaplan_law, truth, sweep()), {.law = "kaplan", .bootstrap = 0}),
                truth, 1e-4);
  for (const Law* law : {&kaplan_size_law, &kaplan_data_law, &kaplan_compute_law}) {
    const auto truth = typical_of(*law);
    const Rows rows = product({geometric(law->design[0].lo, law->design[0].hi, 8)});
    check_close(
        fit_law(planted(*law, truth, rows), {.law = std::string(law->name), .bootstrap = 0}), truth,
        1e-5);
  }
}

TEST_CASE("kaplan: noisy coefficients lie near the planted ones") {
  const auto truth = typical_of(kaplan_law);
  const Table table = planted(kaplan_law, truth, sweep(), 0.003, 5);
  const Fit fit = fit_law(table, {.law = "kaplan", .bootstrap = 200});
  REQUIRE_FALSE(fit.refused());
  CHECK(fit.values()[2] == doctest::Approx(0.076).epsilon(0.05));
  CHECK(fit.values()[3] == doctest::Approx(0.103).epsilon(0.05));
  CHECK(near_truth(fit, truth));
}

TEST_CASE("kaplan: an irreducible loss is better described by chinchilla") {
  const Table table = planted(chinchilla_law, typical_of(chinchilla_law),
                              product({geometric(1e7, 1e10, 6), geometric(1e9, 1e12, 6)}));
  const Fit kaplan = fit_law(table, {.law = "kaplan", .bootstrap = 0, .refuse = false});
  const Fit own = fit_law(table, {.law = "chinchilla", .bootstrap = 0});
  CHECK(kaplan.objective_value > 100 * own.objective_value);
}

TEST_CASE("kaplan: data that size alone limits do not determine it") {
  const auto truth = typical_of(kaplan_law);
  const Rows rows = product({geometric(4e5, 7e8, 6), geometric(1e22, 1e24, 3)});
  CHECK(fit_law(planted(kaplan_law, truth, rows, 0.003, 1), {.law = "kaplan", .bootstrap = 0})
            .refused());
}

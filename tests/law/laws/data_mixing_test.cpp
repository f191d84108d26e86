#include <doctest/doctest.h>

#include "core/error.h"
#include "law/fit.h"
#include "law/fit_json.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"
#include "law/predict.h"

using namespace rung;

namespace {

// Five-domain mixtures, shares of the last left out, some of them zero.
Table mixtures(const Law& law, const std::vector<double>& c) {
  Table table = planted_table(law, c, false);
  for (size_t i = 0; i < 8; ++i) {
    std::vector<double> row;
    for (size_t j = 0; j < law.inputs.size(); ++j) {
      if (j == i % law.inputs.size()) table.columns[j].values[i] = 0.0;
      row.push_back(table.columns[j].values[i]);
    }
    table.columns.back().values[i] = evaluate_law(law, c, row);
  }
  return table;
}

}  // namespace

TEST_CASE("data-mixing: derivatives match finite differences") {
  check_derivatives(data_mixing_law, {1.5, 1.5, -1.5, 0.5}, {0.3, 0.2});
  check_derivatives(find_law("data-mixing:books,code,web"), {2.0, 0.7, -3.0, 0.5, 1.0},
                    {0.1, 0.2, 0.4});
}

TEST_CASE("data-mixing: recovers planted coefficients") {
  check_recovery(data_mixing_law, 1e-5);
  check_noisy_recovery(data_mixing_law);
}

TEST_CASE("data-mixing: a law is made for the columns named, zero shares included") {
  const Law& law = find_law("data-mixing:books,code,wiki,papers");
  CHECK(&law == &find_law("data-mixing:books,code,wiki,papers"));
  CHECK(law.coefficients[3].name == "t_code");
  const std::vector<double> truth = {1.8, 1.1, -1.0, 0.4, 2.0, -2.5};
  const Table table = mixtures(law, truth);
  const Fit fit = fit_law(table, {.law = std::string(law.name), .bootstrap = 20});
  REQUIRE_FALSE(fit.refused());
  for (size_t i = 0; i < truth.size(); ++i)
    CHECK(fit.values()[i] == doctest::Approx(truth[i]).epsilon(1e-4));
  // The unnamed domain alone.
  const Point alone{{"books", 0.0}, {"code", 0.0}, {"wiki", 0.0}, {"papers", 0.0}};
  CHECK(predict(fit, alone, 0.9).loss == doctest::Approx(1.8 + 1.1).epsilon(1e-5));
  const Fit read = fit_from_json(fit_to_json(fit));
  CHECK(read.law == &law);
  CHECK(predict(read, alone, 0.9).loss == predict(fit, alone, 0.9).loss);
}

TEST_CASE("data-mixing: all domains named, so that they sum to one, is refused") {
  const Law& law = find_law("data-mixing:a,b,c");
  Table table = planted_table(law, true);
  for (size_t i = 0; i < table.rows; ++i)
    table.columns[2].values[i] = 1.0 - table.columns[0].values[i] - table.columns[1].values[i];
  CHECK(has_refusal(fit_law(table, {.law = "data-mixing:a,b,c", .bootstrap = 0}), "collinear"));
}

TEST_CASE("data-mixing: bad names are usage errors") {
  CHECK_THROWS_AS(find_law("data-mixing:"), Error);
  CHECK_THROWS_AS(find_law("data-mixing:a,,b"), Error);
  CHECK_THROWS_AS(find_law("data-mixing:a,a"), Error);
  CHECK_THROWS_AS(find_law("data-mixing:a,b,c,d,e,f,g,h,i,j,k"), Error);
}

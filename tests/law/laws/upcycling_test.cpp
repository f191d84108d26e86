#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

TEST_CASE("upcycling: derivatives match finite differences") {
  check_derivatives(upcycling_law, {6600.0, 0.3, 0.32, 0.01, 2.0}, {1e9, 3e10});
  check_derivatives(upcycling_law, {50.0, 0.1, 0.05, -0.002, 1.0}, {2e10, 1e9});
}

TEST_CASE("upcycling: recovers planted coefficients") {
  check_recovery(upcycling_law, 1e-3);
  check_noisy_recovery(upcycling_law);
}

TEST_CASE("upcycling: D2 that follows D1 is refused") {
  Table table = planted_table(upcycling_law, true);
  for (size_t i = 0; i < table.rows; ++i)
    table.columns[1].values[i] = 3 * table.columns[0].values[i];
  CHECK(has_refusal(fit_law(table, {.law = "upcycling", .bootstrap = 0}), "collinear"));
}

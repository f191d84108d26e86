#include <doctest/doctest.h>

#include "law/fit.h"
#include "law/law_data.h"
#include "law/laws/laws.h"
#include "law/planted.h"

using namespace rung;

TEST_CASE("fine-grained-moe: derivatives match finite differences") {
  check_derivatives(fine_grained_moe_law, {0.47, 18.1, 2.1, 0.58, 0.115, 30.8, 0.147},
                    {5e8, 2e10, 4.0});
  check_derivatives(fine_grained_moe_law, {1.2, 300.0, 90.0, 1.5, 0.34, 900.0, 0.37},
                    {2e9, 1e11, 16.0});
}

TEST_CASE("fine-grained-moe: recovers planted coefficients") {
  check_recovery(fine_grained_moe_law, 2e-3);
  check_noisy_recovery(fine_grained_moe_law, {.refuse = false});
}

TEST_CASE("fine-grained-moe: one granularity is refused") {
  Table table = planted_table(fine_grained_moe_law, true);
  for (double& granularity : table.columns[2].values) granularity = 1;
  CHECK(has_refusal(fit_law(table, {.law = "fine-grained-moe", .bootstrap = 0}), "constant-input"));
}

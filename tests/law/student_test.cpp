#include "law/student.h"

#include <doctest/doctest.h>

using namespace rung;

// Abramowitz & Stegun 1964, table 26.10.
TEST_CASE("student's t: tabulated quantiles, and quantiles that invert the probability") {
  const struct {
    double probability;
    int freedom;
    double t;
  } table[] = {{0.95, 1, 6.314},  {0.95, 2, 2.920},   {0.95, 3, 2.353},   {0.975, 4, 2.776},
               {0.975, 5, 2.571}, {0.95, 10, 1.812},  {0.995, 15, 2.947}, {0.95, 30, 1.697},
               {0.75, 2, 0.816},  {0.975, 120, 1.980}};
  for (const auto& row : table) {
    CAPTURE(row.freedom);
    const double t = student_quantile(row.probability, row.freedom);
    CHECK(std::abs(t - row.t) < 0.0006);
    CHECK(student_probability(t, row.freedom) == doctest::Approx(row.probability).epsilon(1e-12));
    CHECK(student_quantile(1.0 - row.probability, row.freedom) == doctest::Approx(-t));
  }
}

// Limits by hand: FP16 and E5M2 end below 2^16, BF16 below 2^128, E4M3 at 1.75 x 2^8.
#include "core/number_format.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace rung;

namespace {

const NumberFormat& format(std::string_view name) {
  for (const NumberFormat& f : number_formats())
    if (f.name == name) return f;
  FAIL("no such format");
  return number_formats().front();
}

}  // namespace

TEST_CASE("number formats: largest, smallest normal, smallest subnormal") {
  CHECK(format("FP16").largest() == 65504.0);
  CHECK(format("E4M3").largest() == 448.0);
  CHECK(format("E5M2").largest() == 57344.0);
  CHECK(format("BF16").largest() == 3.3895313892515354759e38);
  CHECK(format("FP16").smallest_normal() == std::ldexp(1.0, -14));
  CHECK(format("BF16").smallest_normal() == std::ldexp(1.0, -126));
  CHECK(format("E4M3").smallest_normal() == std::ldexp(1.0, -6));
  CHECK(format("E5M2").smallest_normal() == std::ldexp(1.0, -14));
  CHECK(format("FP16").smallest_subnormal() == std::ldexp(1.0, -24));
  CHECK(format("BF16").smallest_subnormal() == std::ldexp(1.0, -133));
  CHECK(format("E4M3").smallest_subnormal() == 0.001953125);
  CHECK(format("E5M2").smallest_subnormal() == std::ldexp(1.0, -16));
}

TEST_CASE("number formats: where rounding overflows, ties included") {
  CHECK_FALSE(format("FP16").overflows(65519.9));
  CHECK(format("FP16").overflows(65520.0));  // the tie goes to infinity
  CHECK_FALSE(format("E5M2").overflows(61439.0));
  CHECK(format("E5M2").overflows(61440.0));
  CHECK_FALSE(format("E4M3").overflows(464.0));  // the tie goes to 448
  CHECK(format("E4M3").overflows(464.1));
  CHECK_FALSE(format("BF16").overflows(3.39e38));
  CHECK(format("BF16").overflows(3.40e38));
}

TEST_CASE("number formats: where rounding underflows and what is subnormal, ties included") {
  const NumberFormat& e4m3 = format("E4M3");
  CHECK(e4m3.underflows(std::ldexp(1.0, -10)));  // the tie goes to zero
  CHECK_FALSE(e4m3.underflows(std::ldexp(1.001, -10)));
  CHECK(e4m3.is_subnormal(std::ldexp(1.001, -10)));
  CHECK_FALSE(e4m3.underflows(0.0));
  CHECK_FALSE(e4m3.is_subnormal(0.0));
  CHECK(e4m3.is_subnormal(std::ldexp(7.0, -9)));
  CHECK(e4m3.is_subnormal(std::ldexp(7.4, -9)));
  CHECK_FALSE(e4m3.is_subnormal(std::ldexp(7.5, -9)));  // the tie goes to 2^-6, which is normal
  CHECK(format("FP16").underflows(std::ldexp(1.0, -25)));
  CHECK_FALSE(format("BF16").underflows(std::ldexp(1.0, -100)));
}

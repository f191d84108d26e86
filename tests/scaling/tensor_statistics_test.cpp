#include "scaling/tensor_statistics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/random.h"

using namespace rung;

namespace {

enum { fp16, bf16, e4m3, e5m2 };  // number_formats()

std::vector<double> normal_values(double deviation, int count = 20000) {
  Random random(1, "statistics");
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(deviation * random.normal());
  return values;
}

}  // namespace

TEST_CASE("tensor statistics: moments count zeros, magnitudes and shares do not") {
  const TensorStatistics s = tensor_statistics({3.0, -1.0, 0.0, 0.0, -4.0, 0.001, INFINITY});
  CHECK(s.count == 7);
  CHECK(s.zeros == 2);
  CHECK(s.not_finite == 1);
  CHECK(s.mean == doctest::Approx(-1.999 / 6.0));
  CHECK(s.rms == doctest::Approx(std::sqrt((26.0 + 1e-6) / 6.0)));
  CHECK(s.deviation * s.deviation == doctest::Approx(s.rms * s.rms - s.mean * s.mean));
  CHECK(s.abs_min == 0.001);
  CHECK(s.abs_max == 4.0);
  CHECK(s.low == 0.001);
  CHECK(s.high == 4.0);
  // E4M3's half smallest subnormal is 2^-10 = 0.00098, so that 0.001 is kept, as a subnormal.
  CHECK(s.formats[e4m3].plain.underflow == 0.0);
  CHECK(s.formats[e4m3].plain.subnormal == 0.25);
  CHECK(s.formats[e4m3].plain.overflow == 0.0);
  CHECK(s.formats[fp16].plain.subnormal == 0.0);
}

TEST_CASE("tensor statistics: shares lost, and the best power of two, by hand") {
  // E4M3 loses 2^-12 and 1000, and 2^-8 is subnormal. 500 is too large, so that 2^-2 is the
  // largest scale without overflow; under it 2^-14 and 2^-10 are lost.
  const TensorStatistics s = tensor_statistics({0x1p-12, -0x1p-8, 1.0, 1000.0});
  const FormatFit& fit = s.formats[e4m3];
  CHECK(fit.plain.underflow == 0.25);
  CHECK(fit.plain.subnormal == 0.25);
  CHECK(fit.plain.overflow == 0.25);
  CHECK(fit.exponent == -2);
  CHECK(fit.scaled.overflow == 0.0);
  CHECK(fit.scaled.underflow == 0.5);
  CHECK(s.formats[bf16].exponent == 0);
  CHECK(s.formats[bf16].plain.lost() == 0.0);
  CHECK(s.formats[fp16].exponent == 0);  // 2^-12 is normal there as it is
}

TEST_CASE("tensor statistics: small gradients are lost without a scale and saved by one") {
  const TensorStatistics s = tensor_statistics(normal_values(0x1p-20));
  CHECK(s.formats[e4m3].plain.underflow == 1.0);
  CHECK(s.formats[e4m3].scaled.underflow < 0.001);
  CHECK(s.formats[e4m3].exponent > 20);
  CHECK(s.formats[bf16].plain.lost() == 0.0);
  // Scaled by a power of two, the same elements are lost.
  const TensorStatistics unit = tensor_statistics(normal_values(1.0));
  CHECK(unit.formats[e4m3].scaled.underflow == s.formats[e4m3].scaled.underflow);
  CHECK(unit.formats[e4m3].exponent == s.formats[e4m3].exponent - 20);
  CHECK(unit.low == doctest::Approx(0.00125).epsilon(0.5));  // 0.1 % of |N(0, 1)|
  CHECK(unit.high == doctest::Approx(3.29).epsilon(0.05));
}

TEST_CASE("tensor statistics: all zero, and nothing") {
  for (const TensorStatistics& s : {tensor_statistics({0.0, 0.0}), tensor_statistics({})}) {
    CHECK(s.rms == 0.0);
    CHECK(s.abs_max == 0.0);
    REQUIRE(s.formats.size() == 4);
    CHECK(s.formats[e5m2].plain.lost() == 0.0);
    CHECK(s.formats[e5m2].exponent == 0);
  }
}

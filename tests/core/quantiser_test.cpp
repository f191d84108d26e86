// Limits by hand, and what a text means.
#include "core/quantiser.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"

using namespace rung;

namespace {

Quantiser of(const std::string& text) {
  return parse_quantiser(text, "formats.weight");
}

}  // namespace

TEST_CASE("formats: a name is its grid") {
  CHECK_FALSE(of("").on);
  CHECK_FALSE(of("none").on);
  struct Case {
    const char* text;
    int mantissa_bits, lowest;
    double largest;
  };
  // OCP Microscaling 1.0, tables 1 to 5; NVIDIA's and AMD's FP8; IEEE 754.
  for (const Case& c :
       {Case{"e4m3", 3, -6, 448.0}, Case{"e5m2", 2, -14, 57344.0}, Case{"e2m1", 1, 0, 6.0},
        Case{"e2m3", 3, 0, 7.5}, Case{"e3m2", 2, -2, 28.0},
        Case{"e4m3 bias=8 finite", 3, -7, 240.0}, Case{"e5m2 bias=16 finite", 2, -15, 57344.0},
        Case{"e4m3 inf", 3, -6, 240.0}, Case{"e3m4", 4, -2, 15.5}, Case{"fp16", 10, -14, 65504.0},
        Case{"e5m10", 10, -14, 65504.0}, Case{"e8m0", 0, -126, 0x1p127},
        Case{"int8 tensor", 7, 7, 127.0}, Case{"int4 channel", 3, 3, 7.0}}) {
    CAPTURE(c.text);
    const Quantiser q = of(c.text);
    CHECK(q.on);
    CHECK(q.grid.mantissa_bits == c.mantissa_bits);
    CHECK(q.grid.lowest == c.lowest);
    CHECK(q.grid.largest == c.largest);
    CHECK(q.grid.beyond == c.largest);
  }
  CHECK(of("e4m3 flush").grid.smallest == 0x1p-6);
  CHECK(std::isnan(of("e4m3 overflow").grid.beyond));
  CHECK(std::isinf(of("e5m2 overflow").grid.beyond));
}

TEST_CASE("formats: what shares a scale") {
  CHECK(of("e4m3").over == ScaleOver::fixed);
  CHECK(of("e4m3 scale=0.25").scale == 0.25);
  CHECK(of("e4m3 tensor").over == ScaleOver::tensor);
  CHECK(of("e4m3 channel pow2").rule == ScaleRule::power);
  CHECK(of("int8 block128").block == 128);
  CHECK(of("int8 block128").rule == ScaleRule::ratio);
  const Quantiser mx = of("e2m1 mx32 stochastic");
  CHECK(mx.over == ScaleOver::block);
  CHECK(mx.rule == ScaleRule::mx);
  CHECK(mx.block == 32);
  CHECK(mx.stochastic);
}

TEST_CASE("formats: what makes no sense is refused, with the key") {
  for (const char* text : {"fp9",
                           "e9m2",
                           "e1m2",
                           "e4m24",
                           "e4",
                           "m3",
                           "int8",
                           "int1 tensor",
                           "int25 tensor",
                           "int8 tensor bias=3",
                           "int8 tensor inf",
                           "int8 tensor flush",
                           "e4m3 tensor channel",
                           "e4m3 block",
                           "e4m3 block0",
                           "e4m3 scale=",
                           "e4m3 scale=0",
                           "e4m3 scale=x",
                           "e4m3 pow2",
                           "e4m3 scale=2 pow2",
                           "e4m3 bias=200",
                           "e8m7 bias=20",
                           "e4m0 nan",
                           "e4m3 quickly",
                           "none tensor"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(of(text), doctest::Contains("formats.weight"), Error);
  }
}

#include "config/number.h"

#include <doctest/doctest.h>

#include <string>

#include "config/resolve.h"

using namespace rung;

TEST_CASE("numbers with decimal prefixes are what their digits say, to the bit") {
  CHECK(parse_number("7B") == 7e9);
  CHECK(parse_number("+1.5k") == 1500.0);
  CHECK(parse_number("0.3M") == 3e5);
  CHECK(parse_number("1e-3G") == 1e6);
  // 32.3 * 1000 and 4.35 * 10^12 round to no whole number.
  CHECK(parse_number("32.3k") == 32300.0);
  int wrong = 0;
  for (int tenths = 1; tenths < 100'000; ++tenths) {
    const std::string digits = fmt::format("{}.{}", tenths / 10, tenths % 10);
    wrong += parse_number(digits + "k") != 100.0 * tenths;
    wrong += parse_number(digits + "T") != 1e11 * tenths;
  }
  CHECK(wrong == 0);
  RunConfig config;
  apply_setting(config, "train.tokens", "32.3k");
  CHECK(config.train.tokens == 32'300);
}

TEST_CASE("what is no finite number is none") {
  for (const char* text : {"", "k", "1kk", "k1", "x", "inf", "nan", "infk", "1e400", "1e308T",
                           "1e300G", "2^", "^2", "2^2000", "1 000", "0x10", "1,5"})
    CHECK_MESSAGE(!parse_number(text), text);
  CHECK(parse_number("2^-3") == 0.125);
  CHECK(parse_seconds("1.5h") == 5400.0);
  CHECK(!parse_seconds("90"));
}

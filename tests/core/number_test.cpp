#include "core/number.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "core/error.h"

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
}

TEST_CASE("bytes: decimal and binary units, in any case") {
  CHECK(parse_bytes("8GB") == 8e9);
  CHECK(parse_bytes("80GiB") == 80.0 * 1073741824.0);
  CHECK(parse_bytes("1.5tb") == 1.5e12);
  CHECK(parse_bytes("512kib") == 524288.0);
  CHECK(parse_bytes("80B") == 80.0);  // bytes, not billions
  CHECK(parse_bytes("8e9") == 8e9);
  CHECK(parse_bytes("8G") == 8e9);
  for (const char* text : {"", "B", "GB", "GiB", "8iB", "8 GB", "8GBs", "xGB", "1e400GB"})
    CHECK_MESSAGE(!parse_bytes(text), text);
}

TEST_CASE("FLOPs: with or without their unit, in any case") {
  for (const char* text : {"1e22", "1e22flop", "1e22FLOP", "1e22FLOPs", "1e22flops"})
    CHECK_MESSAGE(parse_flops(text) == 1e22, text);
  CHECK(parse_flops("2TFLOP") == 2e12);
  for (const char* text : {"", "flop", "FLOPs", "1e22flopss", "1e22 flop", "1e22FLOP/s", "1d"})
    CHECK_MESSAGE(!parse_flops(text), text);
}

TEST_CASE("what is no finite number is none") {
  for (const char* text : {"", "k", "1kk", "k1", "x", "inf", "nan", "infk", "1e400", "1e308T",
                           "1e300G", "2^", "^2", "2^2000", "1 000", "0x10", "1,5"})
    CHECK_MESSAGE(!parse_number(text), text);
  CHECK(parse_number("2^-3") == 0.125);
  CHECK(parse_seconds("1.5h") == 5400.0);
  CHECK(!parse_seconds("90"));
}

TEST_CASE("ranges hold the powers that lie on them to the bit") {
  using Values = std::vector<double>;
  CHECK(*parse_range("2^-4..2^2:7") == Values{0.0625, 0.125, 0.25, 0.5, 1, 2, 4});
  CHECK(*parse_range("2^-20..2^-14:7") ==
        Values{0x1p-20, 0x1p-19, 0x1p-18, 0x1p-17, 0x1p-16, 0x1p-15, 0x1p-14});
  CHECK(*parse_range("0.001..1:4") == Values{0.001, 0.01, 0.1, 1});
  CHECK(*parse_range("1e6..1e9:4") == Values{1e6, 1e7, 1e8, 1e9});
  CHECK(*parse_range("48..3:5") == Values{48, 24, 12, 6, 3});
  CHECK((*parse_range("1..2:3"))[1] == std::sqrt(2.0));  // no short decimal
}

#include "core/progress.h"

#include <doctest/doctest.h>

using namespace rung;

TEST_CASE("short numbers keep three digits") {
  CHECK(short_number(0) == "0");
  CHECK(short_number(950) == "950");
  CHECK(short_number(0.25) == "0.25");
  CHECK(short_number(1300) == "1.30k");
  CHECK(short_number(25'140) == "25.1k");
  CHECK(short_number(999'600) == "1.00M");
  CHECK(short_number(2e12) == "2.00T");
}

TEST_CASE("short amounts have their prefix at the unit") {
  CHECK(short_amount(950, "B") == "950 B");
  CHECK(short_amount(25.14e6, "B") == "25.1 MB");
  CHECK(short_amount(189e9, "FLOP/s") == "189 GFLOP/s");
}

TEST_CASE("short times") {
  CHECK(short_seconds(0.04) == "0.0 s");
  CHECK(short_seconds(42.4) == "42 s");
  CHECK(short_seconds(68) == "1:08");
  CHECK(short_seconds(7384) == "2:03:04");
  CHECK(short_seconds(-1) == "?");
  CHECK(short_seconds(1e300) == "years");
}

TEST_CASE("a progress line shows bar, rate, time left and loss, and keeps its width") {
  const Progress half{
      .label = "ladder", .done = 1.5e6, .total = 3e6, .seconds = 60, .loss = 3.14159};
  const std::string line = progress_line(half, 100);
  CHECK(line ==
        "ladder [###############...............]  50 % 1.50M/3.00M tok, 25.0k tok/s, 1:00 left, "
        "loss 3.1416");
  CHECK(progress_line(half, 100, false) ==
        "ladder  50 % 1.50M/3.00M tok, 25.0k tok/s, 1:00 left, loss 3.1416");
  for (const int columns : {0, 10, 40, 75, 80, 200})
    CHECK(progress_line(half, columns).size() <= static_cast<size_t>(columns));
  // A resumed run's rate counts its own work alone.
  Progress resumed = half;
  resumed.resumed_from = 1.2e6;
  CHECK(progress_line(resumed, 200).find("5.00k tok/s") != std::string::npos);
  // A part of something larger says how far that is; where columns are few, amounts give way.
  Progress part = half;
  part.whole = "climb", part.whole_share = 0.349, part.whole_left = 80.0;
  CHECK(progress_line(part, 200, false) ==
        "ladder  50 % 1.50M/3.00M tok, 25.0k tok/s, loss 3.1416; climb 34 %, 1:20 left");
  CHECK(progress_line(part, 79) ==
        "ladder [#######........]  50 %, 25.0k tok/s, loss 3.1416; climb 34 %, 1:20 left");
  CHECK(progress_line(part, 110).find("1.50M/3.00M tok") != std::string::npos);
  // Nothing known yet, or nothing to know: no rate, no division by zero, never 100 % too early.
  CHECK(progress_line({.label = "x", .unit = "runs"}) == "x 0 runs");
  CHECK(progress_line({.label = "x: search", .unit = ""}) == "x: search ");
  CHECK(progress_line({.done = 999.9, .total = 1000}, 60).find(" 99 %") != std::string::npos);
  CHECK(progress_line({.done = 5, .total = 4, .seconds = 1}, 60).find("left") == std::string::npos);
}

#include "study/together.h"

#include <doctest/doctest.h>

using namespace rung;

TEST_CASE("of climbs on one GPU the slower by the FLOP goes first, on three levels") {
  CHECK(priorities_by_pace({1.0, 5.0, 2.0, 4.0, 3.0}) == std::vector<int>{-1, -3, -1, -2, -2});
  CHECK(priorities_by_pace({2.0, 1.0}) == std::vector<int>{-2, -1});
  CHECK(priorities_by_pace({1.0, 1.0, 1.0}) == std::vector<int>{-1, -1, -1});
  CHECK(priorities_by_pace({1.0}) == std::vector<int>{-1});
}

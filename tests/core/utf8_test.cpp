#include "core/utf8.h"

#include <doctest/doctest.h>

using namespace rung;

TEST_CASE("valid UTF-8 ends where it ends") {
  CHECK(valid_utf8_prefix("caf\xC3\xA9 and more than eight") == 25);
  CHECK(valid_utf8_prefix("12345678\xC0\xAF") == 8);  // overlong
  CHECK(valid_utf8_prefix("a\xED\xA0\x80") == 1);     // surrogate
  CHECK(valid_utf8_prefix("\xF0\x9F\x98\x80") == 4);
  CHECK(valid_utf8_prefix("\xF0\x9F\x98") == 0);  // cut off
  CHECK(utf8_boundary("a\xC3\xA9z", 2) == 1);
}

#include "ops/span.h"

#include <doctest/doctest.h>

#include <string>

using namespace rung;

TEST_CASE("span: the innermost one names what happens") {
  CHECK(std::string(Span::innermost()) == "rung::op");
  {
    const Span outer("rung::outer");
    {
      const Span inner("rung::inner");
      CHECK(std::string(Span::innermost()) == "rung::inner");
    }
    CHECK(std::string(Span::innermost()) == "rung::outer");
  }
  CHECK(std::string(Span::innermost()) == "rung::op");
}

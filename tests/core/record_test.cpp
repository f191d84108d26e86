#include "core/record.h"

#include <doctest/doctest.h>

using namespace rung;

TEST_CASE("the first hash that a log holds of a prediction is the recorded one") {
  CHECK_FALSE(recorded_hash({}).has_value());
  CHECK_FALSE(recorded_hash({{{"event", "stage"}, {"sha256", "a"}}, 3}).has_value());
  const Json stage = {{"event", "stage"}}, first = {{"event", "prediction"}, {"sha256", "a"}},
             second = {{"event", "prediction"}, {"sha256", "b"}};
  CHECK(recorded_hash({stage, first, second}) == "a");
  // An event without a hash records nothing that a file could be.
  CHECK(recorded_hash({{{"event", "prediction"}}, second}) == "");
}

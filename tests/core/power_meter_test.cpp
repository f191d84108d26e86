#include "core/power_meter.h"

#include <doctest/doctest.h>

using namespace rung;

TEST_CASE("power of a GPU that is not there reads as nothing") {
  PowerMeter meter("ffff:ff:1f.7");
  CHECK(meter.end().samples == 0);
  meter.begin();
  const PowerUse use = meter.end();
  CHECK(use.samples == 0);
  CHECK(use.watts == 0.0);
  CHECK(use.limited == 0.0);
}

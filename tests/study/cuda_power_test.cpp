// What the driver says of a GPU at work.
#ifdef RUNG_CUDA
#include "core/power_meter.h"
#include "study/ceiling.h"
#include "support/no_gpu.h"
#include "train/device.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("power and rates of the GPU that is kept up") {
  if (no_gpu()) return;
  PowerMeter meter(gpu_address());
  meter.begin();
  const double best = matmul_ceiling("cuda", "bf16", 1), kept = kept_matmul(0.5);
  const PowerUse busy = meter.end(0.4);
  CHECK(kept > 0.3 * best);
  CHECK(kept < 1.1 * best);
  CHECK(busy.samples > 10);
  CHECK(busy.watts > 0.3 * busy.limit_watts);
  CHECK(busy.watts < 1.3 * busy.limit_watts);
  CHECK(busy.clock > 0.3 * busy.top_clock);
  CHECK(busy.clock <= busy.top_clock);
  CHECK(busy.limited >= 0.0);
  CHECK(busy.limited <= 1.0);
  meter.begin();
  const double copied = kept_copy(0.3);
  CHECK(meter.end(0.2).watts > 0.0);
  CHECK(copied > 0.3 * copy_ceiling("cuda"));
  CHECK(copied < 1.1 * copy_ceiling("cuda"));
}
#endif

// Training in simulated formats on the GPU beside the CPU.
#ifdef RUNG_CUDA
#include "support/gpu_runs.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("formats on the GPU train as on the CPU, and unlike what has none") {
  if (no_gpu()) return;
  RunConfig config = small_config("fp32", "umup");
  const auto last = [](Population& p) { return curve(p, 20).back()[0]; };
  Population without = make({config}, "cuda");
  const double plain = last(without);
  struct Formats {
    const char *weight, *activation, *gradient;
  };
  for (const Formats& f :
       {Formats{"e4m3", "e4m3", "e5m2"}, Formats{"int8 channel", "e4m3 tensor", "e5m2 stochastic"},
        Formats{"e2m3 mx32", "e4m3 block16", "e5m2 tensor pow2"}}) {
    CAPTURE(std::string(f.weight));
    config.formats = {.weight = f.weight, .activation = f.activation, .gradient = f.gradient};
    Population cpu = make({config}, "cpu"), gpu = make({config}, "cuda"),
               again = make({config}, "cuda");
    const double on_cpu = last(cpu), on_gpu = last(gpu);
    // A sum in another order moves some numbers across a boundary of the grid.
    CHECK(std::abs(on_gpu - on_cpu) < 0.005 * on_cpu);
    CHECK(on_gpu != plain);
    CHECK(last(again) == on_gpu);
  }
}

TEST_CASE("fp8 on the GPU trains as its simulated twin") {
  if (no_gpu()) return;
  RunConfig config = small_config("fp8", "umup");
  Population units = make(members(config, 2), "cuda"), again = make(members(config, 2), "cuda");
  config.precision = "bf16";
  config.formats = {.weight = "e4m3", .activation = "e4m3", .gradient = "e5m2"};
  Population simulated = make(members(config, 2), "cuda");
  const auto a = curve(units, 20), b = curve(simulated, 20);
  CHECK(curve(again, 20) == a);
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t m = 0; m < 2; ++m) CHECK(std::abs(a[i][m] - b[i][m]) < 0.01 * b[i][m]);
}
#endif

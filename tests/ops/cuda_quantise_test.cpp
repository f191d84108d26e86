// The rounding kernel on the GPU against the CPU's twin, to the bit.
#ifdef RUNG_CUDA
#include "ops/quantise.h"
#include "support/no_gpu.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("formats on the GPU round as on the CPU") {
  if (no_gpu()) return;
  const Tensor x = normal({3, 5, 37}, 2).to(at::kFloat) * 30.0;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (const char* text :
         {"e4m3", "e5m2 scale=0.37", "e4m3 tensor", "e3m4 channel", "e2m1 mx32", "e2m1 block5",
          "int8 tensor", "int4 block16 pow2", "bf16 stochastic", "e4m3 stochastic",
          "e4m3 channel stochastic", "int4 mx8 stochastic", "e5m2 tensor pow2 flush"}) {
      CAPTURE(std::string(text));
      const Quantiser q = parse_quantiser(text, "test");
      const Tensor own = x.to(type);
      CHECK(same_bits(quantise(own.to(at::kCUDA), q, 7).cpu(), quantise_plain(own, q, 7)));
    }
}
#endif

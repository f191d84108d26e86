#include "ops/block_linear.h"

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("a block-diagonal map is the map of each part") {
  const Tensor x = normal({2, 3, 5, 12}, 1), weight = normal({2, 8, 3}, 2);  // 4 blocks of 2 x 3
  const Tensor y = block_linear(x, weight, 4);
  CHECK(y.sizes() == at::IntArrayRef({2, 3, 5, 8}));
  for (int64_t p = 0; p < 2; ++p)
    for (int64_t g = 0; g < 4; ++g) {
      const Tensor part = x.select(0, p).narrow(-1, 3 * g, 3);
      const Tensor map = weight.select(0, p).narrow(0, 2 * g, 2);
      CHECK(distance(y.select(0, p).narrow(-1, 2 * g, 2), part.matmul(map.t())) < 1e-14);
    }
}

#include "ops/cpu/kernels.h"

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("reduce_lanes sums lanes in order and returns the sum of squares") {
  for (const int64_t lanes : {1, 2, 4})
    for (const int64_t size : {1, 100, 4096, 9001}) {
      const Tensor values = normal({lanes, size}, 3).to(at::kFloat);
      Tensor work = values.clone();
      const double squares = cpu::reduce_lanes(size, lanes, size, work.mutable_data_ptr<float>());
      Tensor want = values[0].clone();
      for (int64_t lane = 1; lane < lanes; ++lane) want.add_(values[lane]);
      CHECK(same_bits(work[0], want));
      const double exact = want.to(at::kDouble).square().sum().item<double>();
      CHECK(squares == doctest::Approx(exact).epsilon(1e-5));
    }
}

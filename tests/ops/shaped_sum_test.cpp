#include "ops/shaped_sum.h"

#include <ATen/ops/zeros_like.h>

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

ShapedGains gains_of(const std::vector<Weight>& w) {
  return {w[0], w[1], w[2]};
}

// The definition, position by position.
Tensor by_position(const Tensor& v, const Tensor& mixed, const Tensor& gains,
                   const Tensor& before) {
  Tensor y = at::zeros_like(v);
  const int64_t past = before.defined() ? before.size(2) : 0;
  const Tensor earlier = before.defined() ? before.flatten(-2).sum({2}) : Tensor();
  const auto gain = [&](int64_t which) {  // [P, H] -> [P, 1, D]
    return gains.select(1, which).repeat_interleave(v.size(3) / gains.size(2), 1).unsqueeze(1);
  };
  for (int64_t t = 0; t < v.size(2); ++t) {
    Tensor sum = v.narrow(2, 0, t + 1).sum({2});
    if (past > 0) sum = sum + earlier;
    y.select(2, t).copy_(v.select(2, t) * gain(0) + mixed.select(2, t) * gain(1) -
                         sum / static_cast<double>(past + t + 1) * gain(2));
  }
  return y;
}

}  // namespace

TEST_CASE("shaped attention's sum is its definition, whatever came before") {
  for (const bool going_on : {false, true})
    for (const int64_t time : {1, 7, 20}) {
      const Tensor v = normal({2, 3, time, 12}, 1), mixed = normal({2, 3, time, 12}, 2);
      const Tensor gains = normal({2, 3, 4}, 3);
      const Tensor before = going_on ? normal({2, 3, 5, 4, 3}, 4) : Tensor();
      const Tensor want = by_position(v, mixed, gains, before);
      for (const auto& [type, tolerance] :
           {std::pair{at::kDouble, 1e-13}, std::pair{at::kFloat, 2e-6}}) {
        const auto cast = [type = type](const Tensor& t) { return t.defined() ? t.to(type) : t; };
        const auto weight = [&](int64_t which) {
          return Weight{.value = cast(gains.select(1, which)).contiguous()};
        };
        const Tensor y =
            shaped_sum(cast(v), cast(mixed), {weight(0), weight(1), weight(2)}, cast(before));
        CHECK(distance(y, want) < tolerance);
      }
    }
}

TEST_CASE("the twins of shaped attention's sum are one function") {
  for (const int64_t size : {3, 16, 20})
    for (const int64_t time : {1, 33}) {
      const auto op = [](auto function) {
        return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
          return std::vector<Tensor>{function(x[0], x[1], gains_of(w), Tensor())};
        };
      };
      check_twin({.name = "shaped sum",
                  .inputs = {normal({2, 3, time, 4 * size}, 1), normal({2, 3, time, 4 * size}, 2)},
                  .weights = {normal({2, 4}, 3), normal({2, 4}, 4), normal({2, 4}, 5)},
                  .factors = {.A = 0.5, .A_weight = 2.0},
                  .fused = op(shaped_sum),
                  .plain = op(shaped_sum_plain)});
    }
}

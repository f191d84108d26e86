#include "ops/top_sums.h"

#include <ATen/ops/topk.h>

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("the k largest sums are those of a search through all of them") {
  for (const auto& [n, k] :
       {std::pair<int64_t, int64_t>{5, 1}, {7, 7}, {16, 3}, {40, 16}, {1, 1}}) {
    CAPTURE(n);
    CAPTURE(k);
    const Tensor a = normal({2, 30, n}, 1), b = normal({2, 30, n}, 2);
    const Tensor all = (a.unsqueeze(-1) + b.unsqueeze(-2)).flatten(-2);
    const Tensor want = std::get<0>(at::topk(all, k, -1));
    const TopSums plain = top_sums_plain(a, b, k);
    const TopSums fused = top_sums(a.to(at::kFloat), b.to(at::kFloat), k);
    for (const TopSums& top : {plain, fused})
      CHECK(distance(a.gather(-1, top.first) + b.gather(-1, top.second), want) < 1e-15);
    CHECK(fused.first.equal(plain.first));
    CHECK(fused.second.equal(plain.second));
  }
}

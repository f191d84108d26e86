#include "ops/rows.h"

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

// 7 rows of 5 picks out of 9, some of them the same row twice.
constexpr int64_t members = 2, rows = 7, picks = 5, count = 9;

Twin twin_of(bool dots, int64_t width) {
  const Tensor index = ids({members, rows, picks}, count, 3);
  const auto op = [=](auto dots_op, auto sum_op) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
      return std::vector<Tensor>{dots ? dots_op(x[0], w[0], index) : sum_op(x[0], w[0], index)};
    };
  };
  return {.name = dots ? "picked dots" : "picked sum",
          .inputs = {normal({members, rows, dots ? width : picks}, 1)},
          .weights = {normal({members, count, width}, 2)},
          .factors = {.A = 0.7, .A_input = 0.9, .A_weight = 1.3},
          .fused = op(picked_dots, picked_sum),
          .plain = op(picked_dots_plain, picked_sum_plain)};
}

}  // namespace

TEST_CASE("picked rows: the fused twin is the plain one, at any width") {
  for (const int64_t width : {1, 13, 16, 40})
    for (const bool dots : {true, false}) {
      CAPTURE(width);
      check_twin(twin_of(dots, width));
    }
}

TEST_CASE("picked rows are products with the rows of the table, differentiated as such") {
  for (const bool dots : {true, false}) {
    const Twin twin = twin_of(dots, 6);
    const Tensor index = ids({members, rows, picks}, count, 3);
    Tensor input = twin.inputs[0].clone().set_requires_grad(true);
    Tensor table = twin.weights[0].clone().set_requires_grad(true);
    const Tensor places = index.view({members, -1, 1}).expand({-1, -1, 6});
    const Tensor picked = table.gather(1, places).view({members, rows, picks, 6});
    const Tensor want =
        dots ? (picked * input.unsqueeze(2)).sum(-1) : (picked * input.unsqueeze(-1)).sum(2);
    Tensor own = twin.inputs[0].clone().set_requires_grad(true);
    const Weight w{.value = twin.weights[0], .gradient = at::zeros_like(twin.weights[0])};
    const Tensor got = dots ? picked_dots_plain(own, w, index) : picked_sum_plain(own, w, index);
    CHECK(distance(got, want) < 1e-14);
    const Tensor upstream = normal(want.sizes().vec(), 8);
    (want * upstream).sum().backward();
    (got * upstream).sum().backward();
    CHECK(distance(own.grad(), input.grad()) < 1e-14);
    CHECK(distance(w.gradient, table.grad()) < 1e-14);
  }
}

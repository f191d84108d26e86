#include "ops/grouped.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr int64_t members = 2, rows = 17, k = 3, groups = 5, in = 6, out = 4;

// The last group is empty everywhere.
Groups some_groups() {
  return sort_by_group(ids({members, rows, k}, groups - 1, 4), groups);
}

}  // namespace

TEST_CASE("sorting by group keeps every copy once, in its group and in order") {
  const Tensor group = ids({members, rows, k}, groups - 1, 4);
  const Groups sorted = sort_by_group(group, groups);
  for (int64_t p = 0; p < members; ++p) {
    const Tensor order = sorted.order.select(0, p), inverse = sorted.inverse.select(0, p);
    CHECK(order.index_select(0, inverse).equal(at::arange(rows * k, order.options())));
    const Tensor places = group.select(0, p).flatten().index_select(0, order);
    int64_t at = 0;
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t count = sorted.counts[static_cast<size_t>(p)][static_cast<size_t>(g)];
      CHECK(places.narrow(0, at, count).eq(g).all().item<bool>());
      const Tensor own = order.narrow(0, at, count);
      for (int64_t i = 1; i < count; ++i)
        CHECK(own[i - 1].item<int64_t>() < own[i].item<int64_t>());
      at += count;
    }
    CHECK(at == rows * k);
    CHECK(sorted.counts[static_cast<size_t>(p)].back() == 0);
  }
}

TEST_CASE("rows come back from their groups") {
  const Tensor x = normal({members, rows, in}, 1);
  const Groups sorted = some_groups();
  const Tensor copies = from_groups(to_groups(x, sorted), sorted, k);
  CHECK(copies.equal(at::stack({x, x, x}, 2)));
}

TEST_CASE("grouped maps and their rows equal their plain twins") {
  const Groups sorted = some_groups();
  Twin twin{.name = "grouped linear",
            .inputs = {normal({members, rows, in}, 1)},
            .factors = {.A = 0.7, .A_input = 0.9, .A_weight = 1.3},
            .fused =
                [&](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
                  return std::vector<Tensor>{grouped_linear(to_groups(x[0], sorted), w, sorted)};
                },
            .plain =
                [&](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
                  return std::vector<Tensor>{
                      grouped_linear_plain(to_groups_plain(x[0], sorted), w, sorted)};
                }};
  for (int64_t g = 0; g < groups; ++g)
    twin.weights.push_back(normal({members, out, in}, 10 + static_cast<uint64_t>(g)));
  check_twin(twin);
}

TEST_CASE("a loss that takes part in the backward pass changes no value") {
  const Tensor x = normal({2, 3}, 1).set_requires_grad(true), a = normal({2}, 2);
  const Tensor leaf = a.clone().set_requires_grad(true);
  const Tensor y = with_loss(x * 2.0, leaf * leaf, 0.25);
  CHECK(y.equal(x * 2.0));
  y.sum().backward();
  CHECK(x.grad().eq(2.0).all().item<bool>());
  CHECK(distance(leaf.grad(), a * 0.5) < 1e-15);
}

// What mixtures of experts and retrievals are made of, on the GPU against its plain twins in fp64,
// and within a CUDA graph.
#ifdef RUNG_CUDA
#include <ATen/ops/argsort.h>
#include <fmt/format.h>

#include "ops/grouped.h"
#include "ops/rows.h"
#include "ops/top_sums.h"
#include "ops/wide.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

// The experts' matrices as slices of one weight, which lie evenly as the arena's do.
std::vector<Weight> slices(const Weight& all, int64_t groups) {
  std::vector<Weight> parts;
  const int64_t out = all.value.size(1) / groups;
  for (int64_t g = 0; g < groups; ++g) {
    Weight w = all;
    w.value = all.value.narrow(1, g * out, out);
    w.gradient = all.gradient.narrow(1, g * out, out);
    parts.push_back(w);
  }
  return parts;
}

// Ranks of random numbers along the last axis: no two alike, exact in bf16.
Tensor ranks(const std::vector<int64_t>& shape, uint64_t seed) {
  return at::argsort(normal(shape, seed), -1, false).to(at::kDouble);
}

}  // namespace

TEST_CASE("one map a group on the GPU equals its twin, empty and uneven groups included") {
  if (no_gpu()) return;
  struct Case {
    int64_t members, rows, k, groups, in, out, used;
  };
  for (const Case& c : std::vector<Case>{{2, 70, 2, 5, 32, 48, 4},
                                         {1, 300, 1, 3, 64, 136, 3},
                                         {2, 200, 2, 8, 128, 256, 8},
                                         {1, 1500, 2, 4, 192, 384, 2},
                                         {2, 150, 2, 5, 256, 320, 3},
                                         {2, 40, 3, 6, 20, 28, 5},
                                         {3, 17, 2, 12, 8, 8, 12}}) {
    const Tensor group = ids({c.members, c.rows, c.k}, c.used, 4);
    const auto op = [=](auto copies, auto map) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        const Groups groups = sort_by_group(group.to(x[0].device()), c.groups);
        const std::vector<Weight> maps = slices(w[0], c.groups);
        return std::vector<Tensor>{from_groups(
            map(copies(x[0], groups), std::span<const Weight>(maps), groups), groups, c.k)};
      };
    };
    const Twin twin{.name = fmt::format("groups P={} rows={} E={} {} to {}", c.members, c.rows,
                                        c.groups, c.in, c.out),
                    .inputs = {normal({c.members, c.rows, c.in}, 1)},
                    .weights = {normal({c.members, c.groups * c.out, c.in}, 2)},
                    .factors = {.A = 0.7, .A_input = 0.9, .A_weight = 1.3},
                    .fused = op(to_groups, grouped_linear),
                    .plain = op(to_groups_plain, grouped_linear_plain)};
    check_on_gpu(twin);
  }
}

TEST_CASE("sorting by group happens on the GPU, within a graph too") {
  if (no_gpu()) return;
  const Tensor group = ids({2, 50, 2}, 4, 4).to(at::kCUDA);
  const auto op = [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
    const Groups groups = sort_by_group(group, 5);
    const std::vector<Weight> maps = slices(w[0], 5);
    const Tensor y = grouped_linear(to_groups(x[0], groups), maps, groups);
    return std::vector<Tensor>{from_groups(y, groups, 2),
                               mixed_groups(y, groups, x[1].to(at::kFloat)),
                               group_sizes(groups, y)};
  };
  const Groups host = sort_by_group(group.to(at::kCPU), 5), device = sort_by_group(group, 5);
  CHECK(same_bits(device.order.to(at::kCPU), host.order));
  CHECK(same_bits(device.inverse.to(at::kCPU), host.inverse));
  const Tensor like = at::zeros({1}, at::kDouble);
  CHECK(same_bits(group_sizes(device, like).to(at::kCPU), group_sizes(host, like)));
  for (const int64_t width : {32, 256})  // by our kernel, and by the library
    check_captured({.name = fmt::format("mixture of {}", width),
                    .inputs = {normal({2, 50, width}, 1), normal({2, 50, 2}, 3)},
                    .weights = {normal({2, 5 * (width + 16), width}, 2)},
                    .fused = op,
                    .plain = op});
}

TEST_CASE("weighted sums of rows on their way back from their groups on the GPU equal their twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t members, rows, k, width;
  };
  for (const Case& c :
       std::vector<Case>{{2, 70, 2, 32}, {1, 33, 1, 768}, {3, 20, 3, 264}, {1, 40, 2, 20}}) {
    const Tensor group = ids({c.members, c.rows, c.k}, 4, 4);
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) {
        const Groups groups = sort_by_group(group.to(x[0].device()), 5);
        return std::vector<Tensor>{function(x[0], groups, wide(x[1]))};
      };
    };
    check_on_gpu({.name = fmt::format("mixed groups k={} width={}", c.k, c.width),
                  .inputs = {normal({c.members, c.rows * c.k, c.width}, 1),
                             normal({c.members, c.rows, c.k}, 2)},
                  .weights = {},
                  .fused = op(mixed_groups),
                  .plain = op(mixed_groups_plain)},
                 1e-2);
  }
}

TEST_CASE("picked rows on the GPU equal their twin, frequent picks included") {
  if (no_gpu()) return;
  for (const int64_t width : {8, 40, 64, 256, 768, 2056})
    for (const int64_t entries : {3, 400})
      for (const bool dots : {true, false}) {
        const Tensor index = ids({2, 37, 24}, entries, 3);
        const auto op = [=](auto dots_op, auto sum_op) {
          return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
            const Tensor places = index.to(x[0].device());
            return std::vector<Tensor>{dots ? dots_op(x[0], w[0], places)
                                            : sum_op(x[0], w[0], places)};
          };
        };
        check_on_gpu(
            {.name = fmt::format("picks {} width={} of {}", dots ? "dots" : "sum", width, entries),
             .inputs = {normal({2, 37, dots ? width : 24}, 1)},
             .weights = {normal({2, entries, width}, 2)},
             .factors = {.A = 0.7, .A_input = 0.9, .A_weight = 1.3},
             .fused = op(picked_dots, picked_sum),
             .plain = op(picked_dots_plain, picked_sum_plain)});
      }
}

TEST_CASE("retrieval on the GPU, sub-keys that are chosen many times included, within a graph") {
  if (no_gpu()) return;
  const auto retrieve = [](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
    const Tensor a = wide(x[0]), b = wide(x[1]);
    const TopSums top = top_sums(a, b, 4);
    const Tensor score = gathered(a, top.first) + gathered(b, top.second);
    const Tensor expert = (top.first * 9 + top.second).view({2, 10, 12});
    return std::vector<Tensor>{
        score, picked_sum(score.to(w[0].value.scalar_type()).view({2, 10, 12}), w[0], expert)};
  };
  const Twin twin{.name = "retrieval",
                  // All 81 sums of a row differ.
                  .inputs = {ranks({2, 30, 9}, 1) * (9.0 / 16.0), ranks({2, 30, 9}, 2) / 16.0},
                  .weights = {normal({2, 81, 32}, 3)},
                  .fused = retrieve,
                  .plain = retrieve};
  check_on_gpu(twin);
  check_captured(twin);
}
#endif

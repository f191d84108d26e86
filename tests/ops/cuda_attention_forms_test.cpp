// Attention beside the usual: windows, caps, contextual positions and shaped sums on the GPU,
// against their plain twins in fp64, and within a CUDA graph.
#ifdef RUNG_CUDA
#include <fmt/format.h>

#include "ops/attention.h"
#include "ops/cope.h"
#include "ops/linear.h"
#include "ops/shaped_sum.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("attention with windows, caps, biases and QK-norm on the GPU equals its twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t time, heads, kv_heads, head_dim, window;
    double cap;
    bool normed = false, biased = false;
  };
  for (const Case& c : std::vector<Case>{{64, 4, 4, 16, 7, 0.0},
                                         {70, 2, 1, 64, 20, 0.0},
                                         {70, 4, 2, 32, 1, 0.0},
                                         {37, 2, 2, 6, 9, 0.0},
                                         {64, 2, 2, 16, 0, 3.0},
                                         {50, 4, 2, 32, 11, 5.0},
                                         {64, 2, 2, 32, 64, 0.0, true},
                                         {33, 2, 2, 16, 5, 0.0, true, true}}) {
    const AttentionOptions o{.heads = c.heads,
                             .kv_heads = c.kv_heads,
                             .head_dim = c.head_dim,
                             .logit = 1.0 / std::sqrt(static_cast<double>(c.head_dim)),
                             .forward = 1.2,
                             .backward = 0.8,
                             .window = c.window,
                             .cap = c.cap};
    const int64_t packed = (c.heads + 2 * c.kv_heads) * c.head_dim;
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        const auto options =
            x[0].options().requires_grad(false).dtype(x[0].is_cuda() ? at::kFloat : at::kDouble);
        Tensor qkv = c.biased ? add_bias(x[0], w[2]) : x[0];
        if (c.normed) qkv = qk_norm(qkv, o, {}, w[0], w[1]);
        return std::vector<Tensor>{function(qkv, make_rope(c.time, c.head_dim, options), o)};
      };
    };
    const Twin twin{.name = fmt::format("attention T={} dim={} window={} cap={}", c.time,
                                        c.head_dim, c.window, c.cap),
                    .inputs = {normal({2, 3, c.time, packed}, 3)},
                    .weights = {normal({2, c.head_dim}, 4) + 1.0, normal({2, c.head_dim}, 5) + 1.0,
                                normal({2, packed}, 6)},
                    .factors = {.A = 0.5, .A_weight = 2.0},
                    .fused = op(attention),
                    .plain = op(attention_plain)};
    check_on_gpu(twin, 1.5e-2);
  }
}

// z is linear between whole positions: a count that rounding moves across one changes a slope, so
// that long rows differ in single gradients (on the CPU too: fp32 is 1.1e-4 from fp64 at T = 130
// and 16 positions, half of it in one row of 520) though never in value.
TEST_CASE("contextual positions on the GPU equal their twin, many keys at the last one included") {
  if (no_gpu()) return;
  for (const int64_t count : {3, 16})
    for (const int64_t time : {1, 33, 130}) {
      const AttentionOptions o{.heads = 4,
                               .kv_heads = 2,
                               .head_dim = 16,
                               .logit = 0.25,
                               .forward = 1.3,
                               .backward = 0.9};
      const auto op = [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        return std::vector<Tensor>{cope_attention(x[0], w[0], o, true)};
      };
      check_both({.name = fmt::format("cope T={} n={}", time, count),
                  .inputs = {normal({2, 2, time, 8 * 16}, 3)},
                  .weights = {normal({2, count, 16}, 4)},
                  .factors = {.A = 0.5, .A_weight = 2.0},
                  .fused = op,
                  .plain = op},
                 1e-2, time > 100 && count > 3 ? 1e-3 : 1e-5);
    }
}

TEST_CASE("shaped attention's sum on the GPU equals its twin") {
  if (no_gpu()) return;
  for (const int64_t size : {2, 12, 64})
    for (const int64_t time : {1, 7, 130}) {
      const auto op = [](auto function) {
        return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
          return std::vector<Tensor>{function(x[0], x[1], ShapedGains{w[0], w[1], w[2]}, Tensor())};
        };
      };
      check_both({.name = fmt::format("shaped sum d={} T={}", size, time),
                  .inputs = {normal({2, 3, time, 4 * size}, 1), normal({2, 3, time, 4 * size}, 2)},
                  .weights = {normal({2, 4}, 3), normal({2, 4}, 4), normal({2, 4}, 5)},
                  .factors = {.A = 0.5, .A_weight = 2.0},
                  .fused = op(shaped_sum),
                  .plain = op(shaped_sum_plain)},
                 1e-2);
    }
}
#endif

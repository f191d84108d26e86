// What mixers have around their recurrences on the GPU (maps, filters, norms) against their plain
// twins in fp64, and within a CUDA graph, which is how a step runs them.
#ifdef RUNG_CUDA
#include <fmt/format.h>

#include "ops/block_linear.h"
#include "ops/conv.h"
#include "ops/gate_map.h"
#include "ops/gated_norm.h"
#include "ops/packed_linear.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("the causal convolution on the GPU equals its twin") {
  if (no_gpu()) return;
  for (const int64_t size : {1, 2, 4})
    for (const int64_t channels : {12, 40, 200})
      for (const int64_t time : {4, 70}) {
        const auto op = [](auto function) {
          return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
            return std::vector<Tensor>{function(x[0], w[0], w[1], Tensor()).y};
          };
        };
        const Twin twin{.name = fmt::format("conv k={} C={} T={}", size, channels, time),
                        .inputs = {normal({2, 3, time, channels}, 1)},
                        .weights = {normal({2, channels, size}, 2), normal({2, channels}, 3)},
                        .factors = {.A = 0.5, .A_weight = 2.0},
                        .fused = op(causal_conv_silu),
                        .plain = op(causal_conv_silu_plain)};
        check_on_gpu(twin, 8e-3);
        if (channels == 40) check_captured(twin);
      }
}

TEST_CASE("block-diagonal maps on the GPU equal their twin") {
  if (no_gpu()) return;
  for (const int64_t in : {4, 8, 24}) {
    const int64_t blocks = 6;
    const auto op = [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
      return std::vector<Tensor>{block_linear(x[0], multiplied(w[0]), blocks)};
    };
    check_both({.name = fmt::format("blocks of {}", in),
                .inputs = {normal({2, 3, 70, blocks * in}, 1)},
                .weights = {normal({2, blocks * in, in}, 2)},
                .factors = {.A = 0.5, .A_weight = 2.0},
                .fused = op,
                .plain = op},
               8e-3);
  }
}

// Few gates and more than the kernels take, widths that its tiles do not divide.
TEST_CASE("maps with gates on the GPU equal their twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t time, width, out, gates;
  };
  for (const Case& c : std::vector<Case>{{70, 96, 128, 12},
                                         {33, 40, 24, 2},
                                         {130, 264, 64, 8},
                                         {9, 768, 32, 16},
                                         {20, 64, 16, 20}}) {
    const auto op = [](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        const auto [y, gates] = function(x[0], w[0], GateMap{w[1], w[2], 3.0});
        return std::vector<Tensor>{y, gates};
      };
    };
    const double scale = 1.0 / std::sqrt(static_cast<double>(c.width));
    check_both({.name = fmt::format("{} gates of {}", c.gates, c.width),
                .inputs = {normal({2, 2, c.time, c.width}, 1)},
                .weights = {normal({2, c.out, c.width}, 2) * scale,
                            normal({2, c.gates, c.width}, 3) * scale, normal({2, c.gates}, 4)},
                .factors = {.A = 1.5, .A_input = 0.5, .A_weight = 2.0},
                .fused = op(linear_and_gates),
                .plain = op(linear_and_gates_plain)},
               1e-2);
  }
}

// Gates are slices of wider rows, as the mixers hand them over.
TEST_CASE("gated norms on the GPU equal their twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t width, groups;
    GatePlace place;
    bool center;
  };
  for (const Case& c : std::vector<Case>{{48, 2, GatePlace::before, false},
                                         {192, 3, GatePlace::behind, true},
                                         {1536, 1, GatePlace::before, false},
                                         {4096, 2, GatePlace::behind, false},
                                         {36, 2, GatePlace::before, true}}) {
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        const Tensor gate = x[1].narrow(3, 0, c.width);
        return std::vector<Tensor>{function(
            x[0], gate, c.groups, w[0], NormOptions{.epsilon = 1e-5, .center = c.center}, c.place)};
      };
    };
    check_both({.name = fmt::format("gated norm {} in {}", c.width, c.groups),
                .inputs = {normal({2, 3, 5, c.width}, 1), normal({2, 3, 5, 2 * c.width}, 2)},
                .weights = {normal({2, c.width}, 3) + 1.0},
                .factors = {.A = 0.5, .A_weight = 2.0},
                .fused = op(gated_norm),
                .plain = op(gated_norm_plain)},
               1.5e-2);
  }
}

TEST_CASE("maps packed beside a tail on the GPU equal their twin") {
  if (no_gpu()) return;
  for (const int64_t width : {24, 128})
    for (const int64_t members : {1, 2}) {
      const auto op = [](auto function) {
        return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
          return std::vector<Tensor>{function(x[0], w, x[1])};
        };
      };
      check_both(
          {.name = fmt::format("packed linears D={} P={}", width, members),
           .inputs = {normal({members, 2, 70, width}, 1), normal({members, 2, 70, width}, 2)},
           .weights = {normal({members, width, width}, 3), normal({members, width, width}, 4)},
           .factors = {.A = 0.25, .A_input = 0.5, .A_weight = 0.1},
           .fused = op(packed_linears),
           .plain = op(packed_linears_plain)},
          1e-2);
    }
}
#endif

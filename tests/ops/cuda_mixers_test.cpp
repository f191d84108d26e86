// The parts of sequence mixers on the GPU against their plain twins in fp64, and within a CUDA
// graph, which is how a step runs them.
#ifdef RUNG_CUDA
#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include "ops/attention.h"
#include "ops/block_linear.h"
#include "ops/conv.h"
#include "ops/cope.h"
#include "ops/cross_entropy.h"
#include "ops/gate_map.h"
#include "ops/gated_mlstm.h"
#include "ops/gated_norm.h"
#include "ops/linear.h"
#include "ops/mlstm.h"
#include "ops/packed_linear.h"
#include "ops/scan.h"
#include "ops/shaped_sum.h"
#include "ops/slstm.h"
#include "ops/ssd.h"
#include "ops/wide.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

void check_both(const Twin& twin, double half_tolerance, double single_tolerance = 1e-5) {
  check_on_gpu(twin, half_tolerance, single_tolerance);
  check_captured(twin);
}

// Gates and decays are fp32 beside bf16.
Tensor gate(const Tensor& x) {
  return wide(x);
}

}  // namespace

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

TEST_CASE("capped logits on the GPU equal their twin") {
  if (no_gpu()) return;
  const LossOptions o{.logit = 0.7, .gradient = 1.0 / 70.0, .cap = 4.0};
  const Tensor targets = ids({2, 2, 35}, 300, 5);
  const auto op = [=](auto function) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
      return std::vector<Tensor>{function(x[0], w[0], targets.to(x[0].device()), o)};
    };
  };
  check_on_gpu({.name = "capped loss",
                .inputs = {normal({2, 2, 35, 32}, 1)},
                .weights = {normal({2, 300, 32}, 2)},
                .factors = {.A = 0.5, .A_input = 0.25, .A_weight = 2.0},
                .fused = op(linear_cross_entropy),
                .plain = op(linear_cross_entropy_plain),
                .unit_upstream = true},
               2e-2);
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

TEST_CASE("SSD on the GPU equals the recurrence") {
  if (no_gpu()) return;
  struct Case {
    int64_t time, heads, groups, size, state, chunk;
  };
  for (const Case& c : std::vector<Case>{{64, 4, 1, 16, 16, 32},
                                         {70, 4, 2, 8, 24, 32},
                                         {33, 6, 2, 16, 64, 16},
                                         {1, 4, 1, 16, 16, 32},
                                         {100, 4, 1, 32, 64, 32},
                                         {130, 4, 2, 64, 128, 32},
                                         {65, 3, 3, 128, 40, 64},
                                         {64, 4, 1, 6, 16, 32}}) {
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) {
        // Decays between exp(-0.02) and exp(-2), as softplus and the start of A make them.
        const SsdInput in{.x = x[0],
                          .dt = (gate(x[1]) * 0.5 - 2.0).exp(),
                          .a = -(gate(x[2]) * 0.5).exp(),
                          .b = x[3],
                          .c = x[4],
                          .state = {},
                          .skip = gate(x[5])};
        return std::vector<Tensor>{function(in).first};
      };
    };
    check_both(
        {.name = fmt::format("ssd T={} H={} p={} N={}", c.time, c.heads, c.size, c.state),
         .inputs = {normal({2, 2, c.time, c.heads, c.size}, 1), normal({2, 2, c.time, c.heads}, 2),
                    normal({2, c.heads}, 3), normal({2, 2, c.time, c.groups, c.state}, 4),
                    normal({2, 2, c.time, c.groups, c.state}, 5), normal({2, c.heads}, 6)},
         .weights = {},
         .fused = op([=](const SsdInput& in) { return ssd(in, c.chunk); }),
         // Large states would take the recurrence long on the CPU.
         .plain = op([=](const SsdInput& in) {
           return c.size * c.state > 2048 ? ssd_chunked(in, 16) : ssd_recurrent(in);
         })},
        1.5e-2);
  }
}

// With input gates around 1 the denominator |n q| nearly cancels at some steps and h moves by much
// more than its inputs (queries rounded to bf16 once more move it by 8 to 77 %, in fp64); with
// smaller ones its floor of 1 is in charge. Queries are scaled before they are rounded. Chunks of
// plain operations in bf16 have been 6 % off where gates are around 1.
TEST_CASE("mLSTM on the GPU equals the recurrence, gates of many sizes included") {
  if (no_gpu()) return;
  struct Case {
    int64_t time, heads, key, value, chunk;
    double spread, input, tolerance = 1e-2;
  };
  for (const Case& c : std::vector<Case>{{64, 4, 16, 16, 32, 1.0, -3.0},
                                         {64, 4, 16, 16, 32, 1.0, 0.0, 8e-2},
                                         {37, 2, 16, 24, 16, 1.0, -3.0},
                                         {33, 3, 32, 64, 16, 4.0, -12.0, 3e-2},
                                         {1, 2, 16, 16, 32, 1.0, -3.0},
                                         {100, 2, 32, 64, 32, 1.0, -10.0},
                                         {130, 3, 64, 128, 64, 1.0, -4.0},
                                         {70, 2, 128, 128, 64, 1.0, -5.0}}) {
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) {
        const MlstmInput in{.q = x[0],
                            .k = x[1],
                            .v = x[2],
                            .input = gate(x[3]) * c.spread + c.input,
                            .forget = gate(x[4]) * c.spread + 3.0,
                            .memory = {},
                            .m = {}};
        return std::vector<Tensor>{function(in).h};
      };
    };
    check_both(
        {.name = fmt::format("mlstm T={} K={} V={} input={}", c.time, c.key, c.value, c.input),
         .inputs = {normal({2, 2, c.time, c.heads, c.key}, 1) /
                        std::sqrt(static_cast<double>(c.key)),
                    normal({2, 2, c.time, c.heads, c.key}, 2),
                    normal({2, 2, c.time, c.heads, c.value}, 3), normal({2, 2, c.time, c.heads}, 4),
                    normal({2, 2, c.time, c.heads}, 5)},
         .weights = {},
         .fused = op([=](const MlstmInput& in) { return mlstm(in, c.chunk); }),
         .plain = op([=](const MlstmInput& in) {
           return c.key * c.value > 2048 ? mlstm_chunked(in, 16) : mlstm_recurrent(in);
         })},
        c.tolerance, 2e-5);
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

// The twin rounds q times the factor and h once more than the kernels do, and gradients with them.
TEST_CASE("xLSTM 7B's cell with its gates and norm on the GPU equals its twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t time, heads, key, value;
    double input;
  };
  for (const Case& c : std::vector<Case>{{64, 4, 16, 32, -3.0},
                                         {130, 6, 64, 128, -4.0},
                                         {70, 2, 24, 48, -3.0},
                                         {1, 2, 16, 32, -3.0}}) {
    const GatedMlstm o{.heads = c.heads,
                       .keys = c.key,
                       .factor = 1.0 / std::sqrt(static_cast<double>(c.key)),
                       .norm = {.epsilon = 1e-4, .center = true},
                       .chunk = 32};
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        const Tensor gates = gate(x[1]);
        const Tensor shift = at::cat({at::full({c.heads}, c.input, gates.options()),
                                      at::full({c.heads}, 3.0, gates.options())});
        return std::vector<Tensor>{function(x[0], gates + shift, w[0], o)};
      };
    };
    check_both(
        {.name = fmt::format("gated mlstm T={} K={} V={}", c.time, c.key, c.value),
         .inputs = {normal({2, 2, c.time, 2 * c.heads * (c.key + c.value)}, 1),
                    normal({2, 2, c.time, 2 * c.heads}, 2)},
         .weights = {normal({2, c.heads * c.value}, 3) + 1.0},
         .factors = {.A = 0.5, .A_weight = 2.0},
         .fused = op([](const Tensor& m, const Tensor& g, const Weight& w,
                        const GatedMlstm& options) { return gated_mlstm(m, g, w, options); }),
         .plain = op(gated_mlstm_plain)},
        2e-2, 2e-5);
  }
}

// The matrices lie one behind the other as the arena's do, with more behind them: all gradients of
// the input and of the matrices are then two products.
TEST_CASE("maps, gates, cell and norm of xLSTM 7B on the GPU equal their twins together") {
  if (no_gpu()) return;
  for (const int64_t time : {64, 70}) {
    const bool alike = time == 64;  // the gates' factors and the others'
    constexpr int64_t heads = 4, key = 16, value = 32, width = 64, out = 2 * heads * (key + value);
    const GatedMlstm o{.heads = heads,
                       .keys = key,
                       .factor = 0.25,
                       .norm = {.epsilon = 1e-4, .center = true},
                       .chunk = 32};
    const auto op = [=](auto map, auto cell) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        GateMap gate{cut_rows(w[0], out, 2 * heads), w[1], 15.0};
        if (!alike) gate.weight.A = 0.5, gate.weight.A_input = 0.25, gate.weight.A_weight = 1.5;
        const auto [maps, gates] = map(x[0], cut_rows(w[0], 0, out), gate);
        const Tensor shift = at::cat(
            {at::full({heads}, -3.0, gates.options()), at::full({heads}, 3.0, gates.options())});
        return std::vector<Tensor>{cell(maps, gates + shift, Weight{}, o)};
      };
    };
    check_both(
        {.name = fmt::format("layer of gated mlstm T={}", time),
         .inputs = {normal({2, 2, time, width}, 1)},
         .weights = {normal({2, out + 2 * heads + 16, width}, 2) / 8.0, normal({2, 2 * heads}, 3)},
         .fused = op(linear_and_gates,
                     [](const Tensor& m, const Tensor& g, const Weight& w,
                        const GatedMlstm& options) { return gated_mlstm(m, g, w, options); }),
         .plain = op(linear_and_gates_plain, gated_mlstm_plain)},
        3e-2, 2e-5);
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

TEST_CASE("the gated scan on the GPU equals its twin, at any length and from any state") {
  if (no_gpu()) return;
  for (const int64_t time : {1, 7, 33, 256})
    for (const bool with_state : {false, true}) {
      const Tensor first = with_state ? normal({2, 3, 70}, 3) : Tensor();
      const Tensor there =  // nothing may be copied within a graph
          with_state ? first.to(at::Device(at::kCUDA), at::kFloat) : Tensor();
      const auto op = [=](auto function) {
        return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) {
          const Tensor f = gate(x[0]).sigmoid();
          return std::vector<Tensor>{function(f, x[1], f.is_cuda() ? there : first)};
        };
      };
      check_both({.name = fmt::format("gated scan T={} state={}", time, with_state),
                  .inputs = {normal({2, 3, time, 70}, 1), normal({2, 3, time, 70}, 2)},
                  .weights = {},
                  .fused = op(gated_scan),
                  .plain = op(gated_scan_plain)},
                 1e-2);
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

TEST_CASE("sLSTM on the GPU equals its twin, at every size of a head") {
  if (no_gpu()) return;
  for (const int64_t size : {4, 16, 24, 64, 96, 256})
    for (const int64_t time : {1, 40}) {
      const double scale = 1.0 / std::sqrt(static_cast<double>(size));
      const auto op = [=](auto function) {
        return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) {
          return std::vector<Tensor>{function(x[0], x[1] * scale, SlstmState{}).first};
        };
      };
      check_both(
          {.name = fmt::format("slstm d={} T={}", size, time),
           .inputs = {normal({2, 3, time, 2, 4, size}, 1), normal({2, 2 * 4 * size, size}, 2)},
           .weights = {},
           .fused = op(slstm),
           .plain = op(slstm_plain)},
          1.5e-2, 2e-5);
    }
}
#endif

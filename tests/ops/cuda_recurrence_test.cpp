// Recurrences of sequence mixers on the GPU against their plain twins in fp64, and within a CUDA
// graph, which is how a step runs them.
#ifdef RUNG_CUDA
#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include "ops/gate_map.h"
#include "ops/gated_mlstm.h"
#include "ops/linear.h"
#include "ops/mlstm.h"
#include "ops/scan.h"
#include "ops/slstm.h"
#include "ops/ssd.h"
#include "ops/wide.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

// Gates and decays are fp32 beside bf16.
Tensor gate(const Tensor& x) {
  return wide(x);
}

}  // namespace

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

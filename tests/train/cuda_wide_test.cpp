// Models too wide for the narrow kernels: maps that add to the stream, and gradients that no step
// clears.
#ifdef RUNG_CUDA
#include "support/gpu_runs.h"
#include "train/cuda_plan.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig wide_config(const std::string& precision, const std::string& rule, bool gain) {
  RunConfig config = small_config(precision, rule);
  config.model.width = 192;
  config.model.head_dim = 48;
  config.model.norm_gain = gain;
  config.train.lr *= 0.25;  // so that a rounding stays what it is
  return config;
}

}  // namespace

TEST_CASE("wide models on the GPU train as on the CPU, whole and in micro-batches") {
  if (no_gpu()) return;
  for (const char* rule : {"standard", "umup"})
    for (const bool gain : {true, false}) {
      CAPTURE(rule);
      CAPTURE(gain);
      const RunConfig config = wide_config("fp32", rule, gain);
      Population host = make(members(config, 2), "cpu"), device = make(members(config, 2), "cuda"),
                 parts = make(members(config, 2), "cuda", 24, 4);
      CHECK_FALSE(written_first(device.decoder).empty());
      const auto want = curve(host, 12);
      CHECK(worst_difference(curve(device, 12), want) < 2e-4);
      CHECK(worst_difference(curve(parts, 12), want) < 2e-4);
    }
}

TEST_CASE("wide models in bf16 follow fp32, repeat to the bit, and resume") {
  if (no_gpu()) return;
  for (const char* rule : {"standard", "umup"})
    for (const bool gain : {true, false}) {
      CAPTURE(rule);
      CAPTURE(gain);
      Population exact = make({wide_config("fp32", rule, gain)}, "cuda");
      const RunConfig config = wide_config("bf16", rule, gain);
      Population half = make({config}, "cuda"), again = make({config}, "cuda");
      const auto a = curve(exact, 20), b = curve(half, 20);
      CHECK(worst_difference(b, a) < 0.03);
      CHECK(curve(again, 20) == b);
      CHECK(same_bits(half.weights, again.weights));
    }
}

TEST_CASE("gradients that no step clears are those of maps, and the others' lie between them") {
  const RunConfig config = wide_config("bf16", "standard", true);
  const Decoder d = make_decoder(config, 24);
  const std::vector<size_t> first = written_first(d);
  std::vector<int> covered(static_cast<size_t>(d.layout.stride), 0);
  for (const size_t t : first)
    for (int64_t i = 0; i < d.layout.tensors[t].size(); ++i)
      ++covered[static_cast<size_t>(d.layout.offsets[t] + i)];
  for (const auto& [begin, count] : all_but(d.layout, first))
    for (int64_t i = begin; i < begin + count; ++i) ++covered[static_cast<size_t>(i)];
  for (size_t t = 0; t < d.layout.tensors.size(); ++t)
    for (int64_t i = 0; i < d.layout.tensors[t].size(); ++i)
      REQUIRE(covered[static_cast<size_t>(d.layout.offsets[t] + i)] == 1);
  RunConfig narrow = config;
  narrow.model.width = 128;
  narrow.model.head_dim = 32;
  CHECK(written_first(make_decoder(narrow, 24)).empty());
}
#endif

// Models too wide for the narrow kernels: maps that add to the stream, and gradients that no step
// clears.
#ifdef RUNG_CUDA
#include "core/error.h"
#include "support/gpu_runs.h"
#include "train/product_gradients.h"

using namespace rung;
using namespace rung::test;

namespace {

// 192, or 128, whose kernels leave the gradients of maps to products as well.
RunConfig wide_config(const std::string& precision, const std::string& rule, bool gain,
                      int64_t width = 192) {
  RunConfig config = small_config(precision, rule);
  config.model.width = width;
  config.model.head_dim = width / 4;
  config.model.norm_gain = gain;
  config.train.lr *= 0.25;  // so that a rounding stays what it is
  return config;
}

struct WideCase {
  const char* rule;
  bool gain;
  int64_t width;
};
constexpr WideCase wide_cases[] = {{"standard", true, 192},  {"standard", false, 192},
                                   {"umup", true, 192},      {"umup", false, 192},
                                   {"standard", false, 128}, {"umup", true, 128}};

}  // namespace

TEST_CASE("wide models on the GPU train as on the CPU, whole and in micro-batches") {
  if (no_gpu()) return;
  for (const auto& [rule, gain, width] : wide_cases) {
    CAPTURE(rule);
    CAPTURE(gain);
    CAPTURE(width);
    const RunConfig config = wide_config("fp32", rule, gain, width);
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
  for (const auto& [rule, gain, width] : wide_cases) {
    CAPTURE(rule);
    CAPTURE(gain);
    CAPTURE(width);
    Population exact = make({wide_config("fp32", rule, gain, width)}, "cuda");
    const RunConfig config = wide_config("bf16", rule, gain, width);
    Population half = make({config}, "cuda"), again = make({config}, "cuda");
    const auto a = curve(exact, 20), b = curve(half, 20);
    CHECK(worst_difference(b, a) < 0.03);
    CHECK(curve(again, 20) == b);
    CHECK(same_bits(half.weights, again.weights));
  }
}

TEST_CASE("gradients in bf16 on the GPU: rounded once, the others' as they were") {
  if (no_gpu()) return;
  for (const char* precision : {"bf16", "fp8"})
    for (const bool gain : {true, false}) {
      CAPTURE(precision);
      CAPTURE(gain);
      RunConfig config = wide_config(precision, "umup", gain);
      config.train.beta1 = 0.0;  // so that the first moment is the gradient
      config.train.clip = 0.0;
      RunConfig rounded = config;
      rounded.train.gradients = "bf16";
      Population wide = make(members(config, 2), "cuda"), half = make(members(rounded, 2), "cuda"),
                 parts = make(members(config, 2), "cuda", 24, 4),
                 half_parts = make(members(rounded, 2), "cuda", 24, 4);
      curve(wide, 1), curve(half, 1);
      const std::vector<size_t> listed = half_gradients(half.decoder, rounded);
      const Tensor got = half.optimizer_state.at("exp_avg"),
                   want = wide.optimizer_state.at("exp_avg");
      for (size_t i = 0; i < half.trained.tensors.size(); ++i) {
        const Tensor a = flat_part(half.trained, got, i), b = flat_part(half.trained, want, i);
        const bool is_half = std::find(listed.begin(), listed.end(), i) != listed.end();
        // The library may take another kernel for another output.
        CHECK(distance(a, b) < (is_half ? 0.005 : 1e-5));
        if (is_half) CHECK(same_bits(a, a.to(at::kBFloat16).to(at::kFloat)));
      }
      const double norm = got[0].to(at::kDouble).square().sum().sqrt().item<double>();
      CHECK(half.states[0].gradient_norm == doctest::Approx(norm).epsilon(1e-5));
      CHECK(worst_difference(curve(half, 19), curve(wide, 19)) < 0.02);
      // Sums of several passes stay in fp32.
      CHECK(curve(half_parts, 8) == curve(parts, 8));
    }
}

TEST_CASE("gradients in bf16 on the GPU: runs are the CPU's, and the same bits twice") {
  if (no_gpu()) return;
  RunConfig config = wide_config("bf16", "umup", false), exact = config;
  config.train.gradients = exact.train.gradients = "bf16";
  exact.precision = "fp32";
  Population host = make({exact}, "cpu"), device = make({config}, "cuda"),
             again = make({config}, "cuda");
  const auto losses = curve(device, 20);
  CHECK(worst_difference(losses, curve(host, 20)) < 0.03);
  CHECK(curve(again, 20) == losses);
  CHECK(same_bits(device.weights, again.weights));
  exact.device = "cuda";
  CHECK_THROWS_AS(make({exact}, "cuda"), Error);  // products in fp32 leave fp32
}
#endif

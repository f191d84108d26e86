// Training on the GPU with moments in bf16 and FP8: as on the CPU, the same bits twice, alone as in
// company, and on from a checkpoint.
#ifdef RUNG_CUDA
#include "support/gpu_runs.h"
#include "temporary.h"
#include "train/checkpoint.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig config_of(const char* moments, const char* precision = "fp32") {
  RunConfig config = small_config(precision);
  config.train.moments = moments;
  config.train.lr = 0.005;
  return config;
}

bool same_state(const Population& a, const Population& b) {
  for (const auto& [name, state] : a.optimizer_state)
    if (!same_bits(state.view(at::kByte), b.optimizer_state.at(name).view(at::kByte))) return false;
  return same_bits(a.weights, b.weights);
}

void advance(Population& p, int steps) {
  for (int i = 0; i < steps; ++i) p.advance();
  p.sync();
}

}  // namespace

TEST_CASE("small moments on the GPU: losses are the CPU's, and the same bits twice") {
  if (no_gpu()) return;
  for (const char* moments : {"bf16", "fp8"})
    for (const char* rounding : {"stochastic", "nearest"}) {
      CAPTURE(moments);
      CAPTURE(rounding);
      RunConfig config = config_of(moments), half = config_of(moments, "bf16");
      config.train.moments_rounding = half.train.moments_rounding = rounding;
      Population host = make(members(config, 2), "cpu"), device = make(members(config, 2), "cuda");
      Population once = make(members(half, 2), "cuda"), twice = make(members(half, 2), "cuda");
      const auto want = curve(host, 20), got = curve(device, 20), near = curve(once, 20);
      CHECK(worst_difference(got, want) < 5e-3);
      CHECK(worst_difference(near, want) < 0.03);
      CHECK(want.back()[0] < want.front()[0]);
      advance(twice, 20);
      CHECK(same_state(once, twice));
    }
}

TEST_CASE("small moments on the GPU: a resumed run goes on bit for bit") {
  if (no_gpu()) return;
  for (const char* moments : {"bf16", "fp8"}) {
    CAPTURE(moments);
    const TemporaryFolder folder;
    Population straight = make(members(config_of(moments, "bf16"), 2), "cuda");
    Population first = make(members(config_of(moments, "bf16"), 2), "cuda");
    advance(straight, 15);
    advance(first, 6);
    save_checkpoint(first, folder.path, {});
    Population second = make(members(config_of(moments, "bf16"), 2), "cuda");
    load_checkpoint(second, checkpoint_path(folder.path, 6));
    advance(second, 9);
    CHECK(same_state(second, straight));
  }
}

TEST_CASE("small moments on the GPU: other optimizers that keep Adam's two train as on the CPU") {
  if (no_gpu()) return;
  for (const char* optimizer : {"adam-atan2", "adam-scaled"})
    for (const char* moments : {"bf16", "fp8"}) {
      CAPTURE(optimizer);
      CAPTURE(moments);
      RunConfig config = config_of(moments);
      config.train.optimizer = optimizer;
      Population host = make(members(config, 2), "cpu"), device = make(members(config, 2), "cuda");
      const auto want = curve(host, 20), got = curve(device, 20);
      CHECK(worst_difference(got, want) < 5e-3);
    }
}

TEST_CASE("small moments on the GPU: a diverging member leaves its neighbour's bits alone") {
  if (no_gpu()) return;
  for (const char* moments : {"bf16", "fp8"}) {
    CAPTURE(moments);
    Population pair = make(members(config_of(moments), 2), "cuda");
    Population other = make(members(config_of(moments), 2), "cuda");
    advance(pair, 3), advance(other, 3);
    other.weights.select(0, 0).fill_(std::nan(""));
    advance(pair, 5), advance(other, 5);
    CHECK(other.states[0].status == MemberStatus::diverged);
    CHECK(same_bits(pair.weights[1], other.weights[1]));
  }
}
#endif

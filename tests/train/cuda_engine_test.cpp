// The captured step against the CPU engine, and what a population promises: company changes
// nothing, divergence freezes one member, resume is bitwise.
#ifdef RUNG_CUDA
#include "core/error.h"
#include "support/gpu_runs.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("fp32 training curves of CPU and GPU agree") {
  if (no_gpu()) return;
  for (const char* rule : {"standard", "umup"})
    for (const int64_t vocabulary : {13, 24}) {
      CAPTURE(rule);
      CAPTURE(vocabulary);
      Population host = make(members(small_config("fp32", rule), 3), "cpu", vocabulary);
      Population device = make(members(small_config("fp32", rule), 3), "cuda", vocabulary);
      const auto want = curve(host, 20), got = curve(device, 20);
      CHECK(worst_difference(got, want) < 2e-4);
      CHECK(want.back()[0] < 0.9 * want.front()[0]);
      const HeldOut held = ChainSource(vocabulary).held_out(32, 3200);
      const auto a = host.evaluate(held), b = device.evaluate(held);
      for (size_t m = 0; m < 3; ++m) {
        CHECK(std::abs(a[m].loss - b[m].loss) < 2e-4 * a[m].loss);
        CHECK(host.states[m].gradient_norm ==
              doctest::Approx(device.states[m].gradient_norm).epsilon(5e-3));
      }
    }
}

TEST_CASE("bf16 follows fp32") {
  if (no_gpu()) return;
  for (const char* rule : {"standard", "umup"})
    for (const bool gain : {true, false}) {  // without gains, a step of the stream is one op
      RunConfig config = small_config("fp32", rule);
      config.model.norm_gain = gain;
      Population wide = make(members(config, 2), "cuda");
      config.precision = "bf16";
      Population half = make(members(config, 2), "cuda");
      const auto a = curve(wide, 20), b = curve(half, 20);
      for (size_t i = 0; i < a.size(); ++i)
        for (size_t m = 0; m < 2; ++m) CHECK(std::abs(a[i][m] - b[i][m]) < 0.03 * a[i][m]);
    }
}

TEST_CASE("two runs of one population on the GPU are the same bits, without waiting for steps") {
  if (no_gpu()) return;
  for (const char* precision : {"fp32", "bf16"}) {
    Population first = make(members(small_config(precision), 4), "cuda");
    Population second = make(members(small_config(precision), 4), "cuda");
    for (int i = 0; i < 20; ++i) first.advance();
    for (int i = 0; i < 20; ++i) second.advance();
    first.sync();
    second.sync();
    CHECK(same_bits(first.weights, second.weights));
    for (size_t m = 0; m < 4; ++m) CHECK(first.states[m].loss == second.states[m].loss);
  }
}

// Few rows have kernels of their own, whose warpgroups take turns: one that falls far behind the
// others, which happens once in thousands of launches, must neither stop the step nor change it.
TEST_CASE("one narrow model goes on for a thousand steps on the GPU, the same bits twice") {
  if (no_gpu()) return;
  for (const int64_t width : {64, 128}) {
    CAPTURE(width);
    RunConfig config = small_config("bf16");
    config.model.width = width;
    config.model.head_dim = width / 4;
    config.model.context = 256;
    config.model.depth = 4;
    config.model.norm_gain = false;
    config.train.batch_tokens = 4096;
    config.train.tokens = 4096 * 1000;
    config.train.lr = 1e-3;
    Population first = make({config}, "cuda"), second = make({config}, "cuda");
    for (int i = 0; i < 1000; ++i) first.advance();
    for (int i = 0; i < 1000; ++i) second.advance();
    first.sync();
    second.sync();
    CHECK(std::isfinite(first.states[0].loss));
    CHECK(same_bits(first.weights, second.weights));
  }
}

TEST_CASE("started steps make no call of torch's that waits for the GPU") {
  if (no_gpu()) return;
  for (const char* precision : {"fp32", "bf16"}) {
    Population population = make(members(small_config(precision), 4), "cuda");
    for (int i = 0; i < 4; ++i) population.advance();  // capture waits
    c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
    const at::Tensor some = at::ones({1}, at::device(at::kCUDA));
    CHECK_THROWS(some.item());  // it would be seen
    for (int i = 0; i < 16; ++i) CHECK_NOTHROW(population.advance());
    c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
  }
}

TEST_CASE("heads of 64 take cuDNN's kernels, and are the same bits too") {
  if (no_gpu()) return;
  RunConfig config = small_config("bf16");
  config.model.width = 128;
  config.model.head_dim = 64;
  config.model.context = 256;
  config.train.batch_tokens = 8192;
  config.train.tokens = 8192 * 20;
  Population first = make(members(config, 2), "cuda"), second = make(members(config, 2), "cuda");
  for (int i = 0; i < 20; ++i) first.advance();
  for (int i = 0; i < 20; ++i) second.advance();
  first.sync();
  second.sync();
  CHECK(same_bits(first.weights, second.weights));
}

TEST_CASE("micro-batches sum to the batch's gradient") {
  if (no_gpu()) return;
  Population whole = make(members(small_config("fp32"), 3), "cuda");
  Population parts = make(members(small_config("fp32"), 3), "cuda", 24, 4);
  const auto want = curve(whole, 20), got = curve(parts, 20);
  for (size_t i = 0; i < got.size(); ++i)
    for (size_t m = 0; m < 3; ++m) CHECK(std::abs(got[i][m] - want[i][m]) < 2e-4 * want[i][m]);
  CHECK_FALSE(same_bits(whole.weights, parts.weights));
}

TEST_CASE("members with other multipliers are refused on the GPU") {
  if (no_gpu()) return;
  auto configs = members(small_config("fp32", "umup"), 2);
  configs[1].multipliers.alpha_res = 0.5;
  CHECK_THROWS_AS(make(configs, "cuda"), Error);
}

TEST_CASE("a member alone is the member in company") {
  if (no_gpu()) return;
  const auto configs = members(small_config("fp32"), 4);
  Population together = make(configs, "cuda");
  const auto want = curve(together, 20);
  for (const size_t m : {size_t{0}, size_t{3}}) {
    Population alone = make({configs[m]}, "cuda");
    const auto got = curve(alone, 20);
    for (size_t i = 0; i < got.size(); ++i)
      CHECK(std::abs(got[i][0] - want[i][m]) < 2e-4 * want[i][m]);
    MESSAGE("member ", m, " bitwise alone: ",
            same_bits(alone.weights[0], together.weights[static_cast<int64_t>(m)]));
  }
}

TEST_CASE("a diverging member is frozen and its neighbours keep their bits") {
  if (no_gpu()) return;
  for (const char* precision : {"fp32", "bf16"}) {
    auto calm = members(small_config(precision), 3), wild = calm;
    wild[1].train.lr = 1e30;
    wild[1].train.clip = 0.0;
    Population a = make(calm, "cuda"), b = make(wild, "cuda");
    for (int i = 0; i < 20; ++i) a.advance();
    for (int i = 0; i < 20; ++i) b.advance();
    a.sync();
    b.sync();
    for (const int64_t m : {0, 2}) {
      CHECK(same_bits(a.weights[m], b.weights[m]));
      CHECK(b.states[static_cast<size_t>(m)].status == MemberStatus::running);
      CHECK(a.states[static_cast<size_t>(m)].loss == b.states[static_cast<size_t>(m)].loss);
    }
    CHECK(b.states[1].status == MemberStatus::diverged);
    const Tensor frozen = b.weights[1].clone();
    b.advance();
    b.sync();
    CHECK(frozen.to(at::kCPU).equal(b.weights[1].to(at::kCPU)));
  }
}

TEST_CASE("resuming from copied weights and state is bitwise") {
  if (no_gpu()) return;
  for (const char* precision : {"fp32", "bf16"}) {
    const auto configs = members(small_config(precision), 2);
    Population through = make(configs, "cuda"), resumed = make(configs, "cuda");
    for (int i = 0; i < 8; ++i) through.advance();
    through.sync();
    resumed.advance();  // captured already, and then overwritten
    resumed.sync();
    resumed.weights.copy_(through.weights);
    for (auto& [name, state] : resumed.optimizer_state)
      state.copy_(through.optimizer_state.at(name));
    resumed.step = through.step;
    for (int i = 0; i < 8; ++i) through.advance();
    for (int i = 0; i < 8; ++i) resumed.advance();
    through.sync();
    resumed.sync();
    CHECK(same_bits(through.weights, resumed.weights));
    const HeldOut held = ChainSource(24).held_out(32, 640);
    CHECK(through.evaluate(held)[1].loss == resumed.evaluate(held)[1].loss);
  }
}
#endif

// Blocks computed anew and budgets of memory on the GPU.
#ifdef RUNG_CUDA
#include "support/gpu_runs.h"
#include "train/memory.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("blocks computed anew on the GPU are the same bits") {
  if (no_gpu()) return;
  for (const char* precision : {"fp32", "bf16"}) {
    RunConfig config = small_config(precision);
    config.model.norm_gain = false;
    Population plain = make(members(config, 2), "cuda");
    config.train.recompute = 1;
    Population anew = make(members(config, 2), "cuda");
    for (int i = 0; i < 10; ++i) plain.advance(), anew.advance();
    plain.sync();
    anew.sync();
    CHECK(same_bits(plain.weights, anew.weights));
  }
}

TEST_CASE("a budget of memory cuts a batch on the GPU") {
  if (no_gpu()) return;
  RunConfig config = small_config("bf16");
  config.device = "cuda";
  const Decoder d = make_decoder(config, 24);
  config.train.memory = plan_memory(d, config, 2, 4, 1).held();
  RunConfig whole = config;
  whole.train.memory = 0.0;
  Population parts = make(members(config, 2), "cuda"), all = make(members(whole, 2), "cuda");
  const auto a = curve(parts, 10), b = curve(all, 10);
  for (size_t i = 0; i < a.size(); ++i) CHECK(std::abs(a[i][0] - b[i][0]) < 0.01 * b[i][0]);
  CHECK_FALSE(same_bits(parts.weights, all.weights));
}
#endif

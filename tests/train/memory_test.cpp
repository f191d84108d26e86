// The plan of memory against what a run on the CPU holds, and what it decides.
#include "train/memory.h"

#include <ATen/Parallel.h>

#include "support/configs.h"
#include "support/memory.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig config_of(const std::function<void(RunConfig&)>& change) {
  RunConfig config;
  config.model.depth = 4;
  config.train.batch_tokens = 2048;
  config.train.tokens = 2048 * 100;
  change(config);
  return config;
}

// The most bytes that a population and its steps hold, on one worker.
double measured(const RunConfig& config, int64_t members, int64_t vocabulary) {
  const auto meter = std::make_shared<MemoryMeter>();
  const auto listen = [meter] {
    at::set_num_threads(1);
    c10::ThreadLocalDebugInfo::_push(c10::DebugInfoKind::PROFILER_STATE, meter);
  };
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
  std::vector<RunConfig> configs(static_cast<size_t>(members), config);
  for (size_t m = 0; m < configs.size(); ++m) configs[m].seed = m + 1;
  Population p(configs, std::make_shared<ChainSource>(vocabulary),
               {.device = "cpu", .pool = std::make_shared<TaskPool>(1, listen)});
  for (int i = 0; i < 2; ++i) p.advance();
  return static_cast<double>(meter->peak);
}

struct Case {
  const char* name;
  int64_t members, vocabulary;
  void (*change)(RunConfig&);
};

}  // namespace

TEST_CASE("memory: a gated ffn of which not all is counted is guessed as a gated one") {
  const auto pass = [](const char* ffn) {
    const RunConfig config = config_of([&](RunConfig& r) { r.model.ffn = ffn; });
    return plan_memory(make_decoder(config, 256), config, 1, 0, 1).pass;
  };
  CHECK(pass("reglu2") == pass("geglu"));
  CHECK(pass("reglu2") > 1.1 * pass("relu2"));
}

TEST_CASE("memory: the plan of a run on the CPU is within 5 % of what it holds" *
          doctest::test_suite("slow")) {
  for (const Case& c :
       {Case{"the default", 1, 256, [](RunConfig&) {}},
        Case{"a population", 3, 256, [](RunConfig&) {}},
        Case{"a large vocabulary", 1, 4096, [](RunConfig&) {}},
        Case{"wide and shallow", 1, 256,
             [](RunConfig& r) { r.model.width = 192, r.model.depth = 2; }},
        Case{"standard, long contexts", 1, 256,
             [](RunConfig& r) { r.parametrisation = "standard", r.model.context = 512; }},
        Case{"recomputed", 1, 256, [](RunConfig& r) { r.train.recompute = 1, r.model.depth = 12; }},
        Case{"half of it recomputed", 1, 256,
             [](RunConfig& r) { r.train.recompute = 2, r.model.depth = 12; }},
        Case{"shared keys", 1, 256, [](RunConfig& r) { r.model.kv_heads = 1; }},
        Case{"moments in bf16, wide", 2, 256,
             [](RunConfig& r) { r.model.width = 256, r.train.moments = "bf16"; }},
        Case{"moments in FP8, wide", 2, 256,
             [](RunConfig& r) { r.model.width = 256, r.train.moments = "fp8"; }},
        Case{"geglu", 1, 256, [](RunConfig& r) { r.model.ffn = "geglu"; }},
        Case{"gelu", 1, 256, [](RunConfig& r) { r.model.ffn = "gelu", r.model.ffn_ratio = 4.0; }},
        Case{"relu2", 1, 256, [](RunConfig& r) { r.model.ffn = "relu2"; }},
        Case{"no ffn, tied", 1, 256,
             [](RunConfig& r) { r.model.ffn = "none", r.model.tied = true; }},
        Case{"formats", 1, 256, [](RunConfig& r) {
               r.formats.weight = r.formats.activation = "e4m3", r.formats.gradient = "e5m2";
             }}}) {
    CAPTURE(std::string(c.name));
    const RunConfig config = config_of(c.change);
    const MemoryPlan plan =
        plan_memory(make_decoder(config, c.vocabulary), config, c.members, 0, 1);
    CHECK(plan.counted);
    const double ratio = plan.total() / measured(config, c.members, c.vocabulary);
    CHECK(ratio > 0.95);
    CHECK(ratio < 1.05);
  }
}

TEST_CASE("memory: a budget picks micro-batches and members, or what is least") {
  RunConfig config = config_of([](RunConfig& c) {
    c.device = "cuda", c.precision = "bf16";
    c.model.width = 256, c.model.depth = 8, c.model.context = 256;
    c.train.batch_tokens = 64 * 256;
  });
  const Decoder d = make_decoder(config, 8192);
  const double whole = plan_memory(d, config, 4, 64, 1).held();
  CHECK(fit_batch(d, config, 4, whole, 1).sequences == 64);
  CHECK(fit_batch(d, config, 4, 0.0, 1).sequences == 64);
  const MemoryPlan half = fit_batch(d, config, 4, whole - 1.0, 1);
  CHECK(half.sequences == 32);
  CHECK(half.held() < whole);
  CHECK(fit_batch(d, config, 4, 1.0, 1).sequences == 1);
  // The state alone grows with members, and so does one sequence of each.
  const auto least = [&](int64_t members) { return plan_memory(d, config, members, 1, 1).held(); };
  CHECK(fit_members(d, config, 40, least(17), 1) == 17);
  CHECK(fit_members(d, config, 40, least(17) - 1.0, 1) == 16);
  CHECK(fit_members(d, config, 40, 1.0, 1) == 1);
  CHECK(fit_members(d, config, 40, 0.0, 1) == 40);
}

TEST_CASE("memory: what is not counted says so") {
  for (const char* mixer : {"mamba2", "mlstm"}) {
    const RunConfig config = config_of([&](RunConfig& c) { c.model.mixer = mixer; });
    CHECK_FALSE(plan_memory(make_decoder(config, 256), config, 1, 0, 1).counted);
  }
}

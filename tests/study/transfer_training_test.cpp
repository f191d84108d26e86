// A transfer study of real runs, small enough for every change: the claims of docs/transfer.md that
// no planted table can show.
#include <doctest/doctest.h>

#include <cmath>

#include "study/sweep.h"
#include "study/transfer.h"
#include "temporary.h"

using namespace rung;

namespace {

// Widths 16, 32 and 64, rates a factor of 2 apart, two seeds; equal tokens and batch.
std::vector<RunConfig> study(const char* rule, int lowest, int rates) {
  std::vector<RunConfig> members;
  for (const int64_t width : {16, 32, 64})
    for (int i = 0; i < rates; ++i)
      for (const uint64_t seed : {1, 2}) {
        RunConfig config;
        config.parametrisation = rule;
        config.base_width = 16;
        config.seed = seed;
        config.model.width = width;
        config.model.head_dim = 16;
        config.model.depth = 1;
        config.model.context = 32;
        config.train.batch_tokens = 256;
        config.train.tokens = 80 * 256;
        config.train.eval_tokens = 4096;
        config.train.lr = std::exp2(lowest + i);
        members.push_back(config);
      }
  return members;
}

Transfer trained(const char* rule, int lowest, int rates) {
  const TemporaryFolder folder;
  const std::vector<RunConfig> members = study(rule, lowest, rates);
  const auto source = open_source(members.front().data, (folder / "cache").string());
  const StudyContext context{.folder = folder / "study",
                             .open = [&](const DataConfig&) { return source; },
                             .machine = make_machine("cpu", 2)};
  const StudyResult result = run_sweep(members, context);
  const std::vector<std::string> keys{"train.lr", "model.width", "seed"};
  const std::vector<Transfer> found = transfers(members, result.records, keys);
  REQUIRE(found.size() == 1);
  REQUIRE(found.front().points.size() == 3);
  return found.front();
}

}  // namespace

// Theory: 0 and -1 per doubling. Two seeds of runs of 80 steps leave a few tenths of noise.
TEST_CASE("trained: over 4 times the width u-muP's best rate stays, the standard rule's falls" *
          doctest::test_suite("slow")) {
  const Transfer umup = trained("umup", -2, 5), standard = trained("standard", -9, 6);
  CAPTURE(umup.drift);
  CAPTURE(standard.drift);
  CHECK(std::abs(umup.drift) < 0.5);
  CHECK(standard.drift < -0.7);
  CHECK(standard.drift > -1.3);
  // The narrow model's rate costs the wide one little under u-muP, much under the standard rule.
  const double kept = umup.points.back().penalty, lost = standard.points.back().penalty;
  CHECK(kept < 0.02);
  CHECK(lost > 0.03);
  CHECK(lost > 3.0 * kept);
}

#include "train/checkpoint.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "support/populations.h"

using namespace rung;
using namespace rung::test;

namespace {

bool same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

}  // namespace

TEST_CASE("a checkpoint keeps the last losses and norms, of a member that diverged too") {
  RunConfig calm = tiny_config(), poisoned = tiny_config();
  poisoned.seed = 2;
  Population first = make_population({calm, poisoned});
  advance(first, 2);
  first.weights[1].fill_(std::numeric_limits<float>::quiet_NaN());
  advance(first, 2);
  REQUIRE(first.states[1].status == MemberStatus::diverged);
  const TemporaryFolder folder;
  save_checkpoint(first, folder.path, {});
  Population second = make_population({calm, poisoned});
  load_checkpoint(second, checkpoint_path(folder.path, first.step));
  for (size_t m = 0; m < 2; ++m) {
    CHECK(second.states[m].status == first.states[m].status);
    CHECK(same(second.states[m].loss, first.states[m].loss));
    CHECK(same(second.states[m].gradient_norm, first.states[m].gradient_norm));
  }
  CHECK(first.states[0].loss > 0.0);
}

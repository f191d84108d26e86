// Which rules are one rule in another form, by their factors alone (the training dynamics are
// compared in tests/train/equivalence_test.cpp).
#include "specs.h"

using namespace rung;
using namespace rung::test;

namespace {

std::vector<TensorSpec> shiftable(int64_t width) {
  return {spec(Role::embedding, 1, width), spec(Role::hidden, width, 3 * width, 0),
          spec(Role::hidden, 3 * width, width, 1), spec(Role::readout, width, 256),
          spec(Role::router, width, 8, 1)};
}

void check_class(std::initializer_list<const char*> rules, const char* optimizer,
                 const char* alignment, Update update) {
  for (const int64_t width : {64, 128, 320, 1024, 4096})
    for (const TensorSpec& tensor : shiftable(width)) {
      const Dims d = dims(width, 4, optimizer);
      const Factors first = factors(*rules.begin(), tensor, d, alignment);
      for (const char* rule : rules) {
        CAPTURE(rule);
        CAPTURE(tensor.name);
        const Factors other = factors(rule, tensor, d, alignment);
        CHECK(equivalent(first, other, 1e-9, update));
        CHECK(other.epsilon / other.A == doctest::Approx(first.epsilon / first.A));
        check_same(shifted(first, other.A / first.A, update), other);
      }
    }
}

}  // namespace

TEST_CASE("muP's three tables and mean field are one rule, standard and NTK another") {
  const std::pair<const char*, Update> optimizers[] = {{"adamw", Update::adam},
                                                       {"adam-atan2", Update::adam},
                                                       {"sgd", Update::sgd},
                                                       {"adam-scaled", Update::parameter_scaled}};
  for (const auto& [optimizer, update] : optimizers)
    for (const char* alignment : {"full", "none"}) {
      CAPTURE(optimizer);
      CAPTURE(alignment);
      check_class({"mup", "mup-table3", "mup-table9", "mfp", "supar"}, optimizer, alignment,
                  update);
      check_class({"standard", "ntk"}, optimizer, alignment, update);
    }
}

TEST_CASE("the classes are apart: standard is not muP, full is not none, depth rules differ") {
  const Dims d = dims(256, 16);
  const TensorSpec readout = spec(Role::readout, 256, 256),
                   hidden = spec(Role::hidden, 256, 256, 0);
  CHECK_FALSE(equivalent(factors("standard", readout, d, "full"), factors("mup", readout, d)));
  CHECK_FALSE(equivalent(factors("mup", hidden, d, "none"), factors("mup", hidden, d, "full")));
  CHECK_FALSE(equivalent(factors("completep", hidden, d), factors("depth-mup", hidden, d)));
  CHECK(equivalent(factors("completep", readout, d), factors("completedp", readout, d)));
}

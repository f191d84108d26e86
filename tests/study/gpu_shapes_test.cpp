#include "study/gpu_shapes.h"

#include <doctest/doctest.h>

using namespace rung;

namespace {

ClimbOptions suited(const char* pattern) {
  ModelConfig model;
  model.depth = 4;
  model.pattern = pattern;
  ClimbOptions options;
  suit_gpu(options, model);
  return options;
}

}  // namespace

TEST_CASE("a GPU's climb has heads that all of its mixers' kernels take") {
  struct Case {
    const char* pattern;
    int64_t largest_head, step;
  };
  // mLSTM's heads divide twice the width: 64 units of the width are 128 of its own, 4 are 8.
  for (const auto& [pattern, largest_head, step] :
       {Case{"attention", 256, 16}, Case{"mamba2", 256, 16}, Case{"mlstm", 64, 8},
        Case{"mlstm-large", 128, 32}, Case{"mlstm x3, slstm", 64, 8}, Case{"slstm", 256, 8},
        Case{"mlstm x3, attention", 64, 16}}) {
    CAPTURE(pattern);
    const ClimbOptions options = suited(pattern);
    CHECK(options.largest_head == largest_head);
    CHECK(options.width_step == step);
    CHECK(options.smallest_width == 2 * step);
  }
}

TEST_CASE("heads at a width double until the largest allowed one is large enough") {
  const ClimbOptions options = suited("mlstm");
  const auto heads_at = [&](int64_t width) { return with_heads_at(options, width).heads; };
  CHECK(heads_at(128) == 2);
  CHECK(heads_at(144) == 4);
  CHECK(heads_at(256) == 4);
  CHECK(heads_at(288) == 8);
  CHECK(heads_at(136) == 2);  // four heads come in steps of 16
  CHECK(with_heads_at(options, 288).width_step == 4 * options.width_step);
  ClimbOptions unlimited = options;
  unlimited.largest_head = 0;
  CHECK(with_heads_at(unlimited, 4096).heads == 2);
}

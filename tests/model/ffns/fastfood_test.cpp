#include <cmath>

#include "scaling/count.h"
#include "support/models.h"
#include "support/parts.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig fastfood_config(int64_t width = 24) {
  RunConfig config = tiny_config();  // depth 2, ffn ratio 2.5
  config.model.width = width;
  config.model.ffn = "fastfood";
  return config;
}

}  // namespace

TEST_CASE("fastfood's tensors, parameters and FLOPs follow from its shape") {
  const Decoder d = make_decoder(fastfood_config(), 11);
  // Up: blocks of 32 to 60 units, two; down: one block of 64.
  const int64_t diagonals = 3 * (2 * 32 + 64), attention = 4 * 24 * 24;
  CHECK(count(d.layout.tensors).N == 2 * (attention + diagonals) + 24 * 11);
  const double transforms = 2.0 * (2 * 32 * 5 + 64 * 6), pairs = 18.0 * 19.0 / 2.0;
  CHECK(forward_flops(d, 18) ==
        doctest::Approx(18.0 * (2.0 * (2 * attention + 24 * 11) + 2.0 * transforms) +
                        2.0 * 2.0 * 2.0 * pairs * 24.0));
}

TEST_CASE("fastfood starts with outputs of its inputs' size, at every width") {
  for (const int64_t width : {24, 64, 96}) {
    CAPTURE(width);
    RunConfig config = fastfood_config(width);
    config.model.ffn_ratio = 3.0;
    const Model model = make_model(config, 11, at::kDouble);
    const Decoder& d = model.decoder;
    const auto weights = bind(d.layout, model.weights, Tensor());
    const Tensor x = normal({1, 8, 32, width}, 3);
    const Pass pass{.model = d.model, .block = d.block, .rope = model.ropes.global};
    const Tensor y =
        d.ffns[0]->forward(std::span<const Weight>(weights).subspan(d.ffn_start[0]), x, pass);
    const double size = std::sqrt(y.square().mean().item<double>());
    CHECK(size > 0.45);  // gelu alone leaves 0.65 of N(0, 1)
    CHECK(size < 0.95);
  }
}

TEST_CASE("fastfood's roles: diagonals see one input at every width") {
  const auto factors_of = [](int64_t width) {
    RunConfig config = fastfood_config(width);
    config.parametrisation = "mup";
    config.base_width = 32;
    return factors_by_name(config);
  };
  const auto base = factors_of(32), wide = factors_of(128);
  for (const char* name : {"up.B", "up.G", "up.S", "down.B", "down.G", "down.S"}) {
    const std::string full = "blocks.0.ffn." + std::string(name);
    CHECK(wide.at(full).C == doctest::Approx(base.at(full).C));
    CHECK(wide.at(full).A == doctest::Approx(1.0));
  }
}

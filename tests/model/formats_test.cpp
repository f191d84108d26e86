// Which matrices multiply in formats, and what cannot.
#include "core/error.h"
#include "support/models.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig in_formats() {
  RunConfig config = tiny_config();
  config.formats.weight = config.formats.activation = "e4m3";
  config.formats.gradient = "e5m2";
  return config;
}

std::vector<std::string> names_in_formats(const RunConfig& config) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : make_decoder(config, 11).layout.tensors)
    if (spec.formats) names.push_back(spec.name);
  return names;
}

}  // namespace

TEST_CASE("formats are the hidden matrices', but for those that are kept") {
  RunConfig config = in_formats();
  CHECK(names_in_formats(config) ==
        std::vector<std::string>{"blocks.0.mixer.qkv", "blocks.0.mixer.out", "blocks.0.ffn.gate_up",
                                 "blocks.0.ffn.down", "blocks.1.mixer.qkv", "blocks.1.mixer.out",
                                 "blocks.1.ffn.gate_up", "blocks.1.ffn.down"});
  config.formats.keep = "out, down";
  config.formats.gradient = "";
  CHECK(names_in_formats(config) ==
        std::vector<std::string>{"blocks.0.mixer.qkv", "blocks.0.ffn.gate_up", "blocks.1.mixer.qkv",
                                 "blocks.1.ffn.gate_up"});
  CHECK(names_in_formats(tiny_config()).empty());
}

TEST_CASE("formats: fp8 is E4M3 and E5M2 with fixed scales, on the units") {
  RunConfig config = tiny_config();
  config.precision = "fp8";
  config.parametrisation = "standard";
  CHECK_THROWS_WITH_AS(make_decoder(config, 11), doctest::Contains("scale"), Error);
  config.parametrisation = "umup";
  config.formats.gradient = "e5m2 scale=0.5";
  config.formats.keep = "down";
  CHECK(names_in_formats(config).size() == 6);
  for (const TensorSpec& spec : make_decoder(config, 11).layout.tensors)
    if (spec.formats) {
      CHECK(spec.formats->hardware);
      CHECK(spec.formats->weight.grid.largest == 448.0);
      CHECK(spec.formats->activation.grid.largest == 448.0);
      CHECK(spec.formats->gradient.grid.largest == 57344.0);
      CHECK(spec.formats->gradient.scale == 0.5);
    }
  for (const char* other : {"e4m3", "e5m2 tensor", "e5m2 stochastic", "e5m2 flush"}) {
    config.formats.gradient = other;
    CHECK_THROWS_WITH_AS(make_decoder(config, 11), doctest::Contains("formats.gradient"), Error);
  }
}

TEST_CASE("formats move losses and gradients a little") {
  RunConfig config = in_formats();
  config.parametrisation = "umup";
  Model rounded = make_model(config, 11, at::kDouble);
  const Batch batch = make_batch(config, 11, 1, 3);
  const Tensor losses = loss_and_gradient(rounded, batch);
  config.formats = {};
  Model exact = make_model(config, 11, at::kDouble);
  const Tensor plain = loss_and_gradient(exact, batch);
  CHECK_FALSE(same_bits(losses, plain));
  CHECK(distance(losses.mean(), plain.mean()) < 0.02);
  const Tensor a = rounded.gradient.flatten(), b = exact.gradient.flatten();
  CHECK(a.dot(b).item<double>() / (a.norm().item<double>() * b.norm().item<double>()) > 0.98);
}

TEST_CASE("formats: what cannot multiply in them is refused") {
  for (const auto& [what, change] : std::initializer_list<Variant>{
           {"a map that is not there", [](RunConfig& c) { c.formats.keep = "qkv, up"; }},
           {"kept of nothing", [](RunConfig& c) { c.formats = {.keep = "qkv"}; }},
           {"experts", [](RunConfig& c) { c.model.ffn = "moe"; }},
           {"a mixer with maps of its own", [](RunConfig& c) { c.model.mixer = "slstm"; }},
           {"CoPE", [](RunConfig& c) { c.model.position = "cope"; }},
           {"ternary maps", [](RunConfig& c) { c.model.linear = "bitnet"; }},
           {"no format", [](RunConfig& c) { c.formats.weight = "e44m3"; }}}) {
    CAPTURE(std::string(what));
    RunConfig config = in_formats();
    change(config);
    CHECK_THROWS_AS(make_decoder(config, 11), Error);
  }
}

#include "scaling/count.h"
#include "support/configs.h"
#include "support/parts.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

const std::vector<Wave> waves{{"conv", 1.9, 0.5, 0.0},       {"conv_bias", 0.8, 0.3, 0.0},
                              {"in_if", 0.71, 0.9, 0.0},     {"in_zo", 1.7, 0.8, 0.0},
                              {"recurrent", 0.57, 0.7, 0.0}, {"bias", 1.1, 0.8, 0.0},
                              {"norm", 0.63, 0.4, 1.0}};

// The golden's shapes: width 8, 2 heads of 4, 2 sequences of 11.
TestPart golden_mixer(at::ScalarType type) {
  ModelConfig m;
  m.width = 8;
  m.head_dim = 4;
  m.norm_gain = true;
  return {"slstm", m, waves, type};
}

RunConfig slstm_config() {
  RunConfig config = tiny_config();  // width 24, depth 2, ffn 60
  config.model.mixer = "slstm";
  config.model.head_dim = 6;
  return config;
}

}  // namespace

TEST_CASE("slstm's output, states and gradients equal an independent implementation") {
  const Json golden = read_golden("xlstm.json").at("slstm");
  for (const auto& [type, tolerance] :
       {std::pair{at::kDouble, 1e-11}, std::pair{at::kFloat, 1e-5}}) {
    CAPTURE(tolerance);
    const MixerState state = check_part(golden_mixer(type), golden, tolerance);
    const Tensor scale = state[4].exp();
    check_state(state[0], golden.at("past"), tolerance);
    check_state(state[2] * scale, golden.at("last_c"), tolerance);
    check_state(state[3] * scale, golden.at("last_n"), tolerance);
  }
}

TEST_CASE("slstm over a sequence is slstm step by step, and in uneven pieces") {
  check_pieces(golden_mixer(at::kDouble));
}

TEST_CASE("slstm starts as the authors' code: forget biases from 5 to -7 by a power of the block") {
  RunConfig config = slstm_config();
  config.model.depth = 3;
  const auto values = started(config);
  for (const auto& [layer, power] : {std::pair{0, 0.3}, std::pair{1, 0.95}, std::pair{2, 1.6}}) {
    const std::string prefix = fmt::format("blocks.{}.mixer.", layer);
    CHECK(values.at(prefix + "recurrent").eq(0.0).all().item<bool>());
    const Tensor bias = values.at(prefix + "bias").view({4, 4, 6});  // head, slot, unit
    for (const int64_t slot : {0, 2, 3}) CHECK(bias.select(1, slot).eq(0.0).all().item<bool>());
    for (int64_t unit = 0; unit < 6; ++unit) {
      const double want = 5.0 - 12.0 * std::pow(static_cast<double>(unit) / 5.0, power);
      for (int64_t head = 0; head < 4; ++head)
        CHECK(bias[head][1][unit].item<double>() == doctest::Approx(want));
    }
  }
}

TEST_CASE("slstm's tensors, parameters and FLOPs follow from its shape") {
  const Decoder d = make_decoder(slstm_config(), 11);
  const int64_t maps = 8 * 24 * 6, filters = 4 * 24, biases = 5 * 24, ffn = 3 * 24 * 60;
  CHECK(count(d.layout.tensors).N == 2 * (maps + filters + biases + ffn) + 24 * 11);
  const double matrices = 2.0 * static_cast<double>(2 * (maps + filters + ffn) + 24 * 11);
  CHECK(forward_flops(d, 18) == doctest::Approx(18.0 * matrices));
  CHECK(forward_flops_per_token(d.layout.tensors, 0.0) == doctest::Approx(matrices));
}

TEST_CASE("slstm's roles: maps within a head grow with it, channels do not") {
  const auto factors_of = [](int64_t width, const char* rule) {
    RunConfig config = tiny_config();
    config.parametrisation = rule;
    config.base_width = 32;
    config.model.width = width;
    config.model.mixer = "slstm";
    return factors_by_name(config);
  };
  const auto base = factors_of(32, "mup"), wide = factors_of(128, "mup");
  const auto f = [](const auto& all, const char* name) {
    return all.at("blocks.0.mixer." + std::string(name));
  };
  for (const char* name : {"in_if", "in_zo", "recurrent"})
    CHECK(f(wide, name).C == doctest::Approx(f(base, name).C / 4.0));
  CHECK(f(wide, "in_zo").B == doctest::Approx(1.0 / std::sqrt(32.0)));  // heads of 32
  for (const char* name : {"conv", "conv_bias", "bias"})
    CHECK(f(wide, name).C == doctest::Approx(f(base, name).C));
  for (const char* name : {"recurrent", "conv_bias", "bias"}) CHECK(f(wide, name).decay == 0.0);
  CHECK(f(wide, "in_if").decay > 0.0);
  CHECK(f(factors_of(128, "umup"), "recurrent").A == doctest::Approx(1.0 / std::sqrt(32.0)));
}

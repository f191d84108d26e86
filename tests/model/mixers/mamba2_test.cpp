#include "scaling/count.h"
#include "support/configs.h"
#include "support/parts.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

// The golden's shapes: width 6, inner 12, 4 heads of 3, 2 sequences of 11.
ModelConfig golden_model(bool two_groups) {
  ModelConfig m;
  m.width = 6;
  m.head_dim = 6;
  m.ssm_expand = 2;
  m.ssm_head_dim = 3;
  m.ssm_conv = 4;
  m.ssm_chunk = 4;
  m.ssm_groups = two_groups ? 2 : 1;
  m.ssm_state = two_groups ? 3 : 5;
  m.norm_gain = two_groups;
  return m;
}

TestPart golden_mixer(const ModelConfig& m, at::ScalarType type) {
  std::vector<Wave> waves{
      {"in_zx", 0.71, 0.6, 0.0},   {"in_bc", 1.7, 0.8, 0.0},     {"in_dt", 0.57, 0.4, 0.0},
      {"conv", 1.9, 0.5, 0.0},     {"conv_bias", 0.8, 0.3, 0.0}, {"A_log", 1.1, 0.6, 0.4},
      {"dt_bias", 0.9, 1.0, -1.5}, {"D", 0.7, 0.5, 1.0},         {"out", 0.37, 0.5, 0.0}};
  if (m.norm_gain) waves.push_back({"norm", 0.63, 0.4, 1.0});
  return {"mamba2", m, waves, type};
}

void check_golden(bool two_groups, at::ScalarType type, double tolerance) {
  CAPTURE(two_groups);
  const Json golden = read_golden("mamba2.json").at(two_groups ? "two_groups" : "one_group");
  const MixerState state =
      check_part(golden_mixer(golden_model(two_groups), type), golden, tolerance);
  check_state(state[0], golden.at("past"), tolerance);
  check_state(state[1], golden.at("state"), tolerance);
}

}  // namespace

TEST_CASE("mamba2's output, states and gradients equal an independent implementation") {
  for (const bool two_groups : {false, true}) {
    check_golden(two_groups, at::kDouble, 1e-11);
    check_golden(two_groups, at::kFloat, 1e-5);
  }
}

TEST_CASE("mamba2 over a sequence is mamba2 step by step, and in uneven pieces") {
  check_pieces(golden_mixer(golden_model(true), at::kDouble));
}

TEST_CASE("mamba2's chunk length does not show") {
  ModelConfig m = golden_model(false);
  const Tensor x = normal({1, 2, 23, 6}, 6);
  const Tensor want = golden_mixer(m, at::kDouble).forward(x);
  for (const int64_t chunk : {1, 5, 23, 100}) {
    m.ssm_chunk = chunk;
    CHECK(distance(golden_mixer(m, at::kDouble).forward(x), want) < 1e-12);
  }
}

TEST_CASE("mamba2 starts as the authors' code: A in [1, 16], dt log-uniform in [0.001, 0.1], D 1") {
  RunConfig config = tiny_config();
  config.model.width = 256;
  config.model.mixer = "mamba2";
  config.model.ssm_head_dim = 1;  // 512 heads
  config.model.depth = 2;
  const auto values = started(config);
  const auto find = [&](const char* name) { return values.at(name); };
  const auto check_uniform = [](const Tensor& values, double low, double high) {
    const double count = static_cast<double>(values.numel()), span = high - low;
    CHECK(values.min().item<double>() >= low - 1e-12);
    CHECK(values.max().item<double>() <= high + 1e-12);
    CHECK(std::abs(values.mean().item<double>() - (low + high) / 2.0) <
          4.0 * span / std::sqrt(12.0 * count));
    CHECK(std::abs(values.std().item<double>() - span / std::sqrt(12.0)) <
          4.0 * span / std::sqrt(80.0 * count));
  };
  check_uniform(find("blocks.0.mixer.A_log").exp(), 1.0, 16.0);
  const Tensor dt = find("blocks.0.mixer.dt_bias").exp().log1p();  // softplus
  check_uniform(dt.log(), std::log(0.001), std::log(0.1));
  check_uniform(find("blocks.0.mixer.conv"), -0.5, 0.5);
  check_uniform(find("blocks.0.mixer.conv_bias"), -0.5, 0.5);
  CHECK(find("blocks.0.mixer.D").eq(1.0).all().item<bool>());
  CHECK(!find("blocks.1.mixer.A_log").equal(find("blocks.0.mixer.A_log")));
}

TEST_CASE("mamba2's tensors, parameters and FLOPs follow from its shape") {
  RunConfig config = tiny_config();  // width 24, depth 2, ffn 60
  config.model.mixer = "mamba2";
  config.model.ssm_state = 5;
  config.model.ssm_head_dim = 6;
  config.model.ssm_groups = 2;
  config.model.norm_gain = false;
  const Decoder d = make_decoder(config, 11);
  const int64_t inner = 48, heads = 8, shared = 10, mixed = inner + 2 * shared;
  const int64_t maps = 24 * (2 * inner + 2 * shared + heads) + inner * 24, filters = 4 * mixed;
  const int64_t ffn = 3 * 24 * 60;
  CHECK(count(d.layout.tensors).N == 2 * (maps + filters + mixed + 3 * heads + ffn) + 24 * 11);
  const double matrices = 2.0 * static_cast<double>(2 * (maps + filters + ffn) + 24 * 11);
  const double scan = 5.0 * static_cast<double>(inner * 5);
  CHECK(forward_flops(d, 18) == doctest::Approx(18.0 * (matrices + 2.0 * scan)));
  CHECK(forward_flops_per_token(d.layout.tensors, 2.0 * scan) ==
        doctest::Approx(matrices + 2.0 * scan));
}

TEST_CASE("mamba2's roles: what grows with the width, what does not, and what never decays") {
  const auto factors_of = [](int64_t width, const char* rule) {
    RunConfig config = tiny_config();
    config.parametrisation = rule;
    config.base_width = 32;
    config.model.width = width;
    config.model.mixer = "mamba2";
    return factors_by_name(config);
  };
  const auto base = factors_of(32, "mup"), wide = factors_of(128, "mup");
  const auto f = [](const auto& all, const char* name) {
    return all.at("blocks.0.mixer." + std::string(name));
  };
  for (const char* name : {"in_zx", "in_dt", "out"})
    CHECK(f(wide, name).C == doctest::Approx(f(base, name).C / 4.0));
  CHECK(f(wide, "in_bc").A == doctest::Approx(f(base, "in_bc").A / 4.0));
  CHECK(f(wide, "in_bc").C == doctest::Approx(f(base, "in_bc").C));
  for (const char* name : {"conv", "conv_bias", "A_log", "dt_bias", "D"}) {
    CHECK(f(wide, name).A == 1.0);
    CHECK(f(wide, name).C == doctest::Approx(f(base, name).C));
  }
  for (const char* name : {"A_log", "dt_bias", "D"}) CHECK(f(wide, name).decay == 0.0);
  CHECK(f(wide, "conv").decay == 1.0);
  const auto unit = factors_of(128, "umup");
  CHECK(f(unit, "A_log").C == doctest::Approx(1.0 / std::sqrt(128.0 * 2.0)));
  CHECK(f(unit, "A_log").A == 1.0);
}

TEST_CASE("mamba2 names the shapes it cannot have") {
  const auto message = [](auto change) {
    RunConfig config = tiny_config();
    config.model.mixer = "mamba2";
    change(config);
    return error_of([&] { make_decoder(config, 11); });
  };
  CHECK(message([](RunConfig& c) { c.model.ssm_head_dim = 7; }).find("48 inner units") !=
        std::string::npos);
  CHECK(message([](RunConfig& c) { c.model.ssm_groups = 2; }).find("the 3 heads. Received 2") !=
        std::string::npos);
}

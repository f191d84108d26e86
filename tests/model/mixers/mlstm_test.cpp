#include "scaling/count.h"
#include "support/configs.h"
#include "support/parts.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

const std::vector<Wave> waves{
    {"up", 0.71, 0.6, 0.0},   {"conv", 1.9, 0.5, 0.0},      {"conv_bias", 0.8, 0.3, 0.0},
    {"q", 1.7, 0.8, 0.0},     {"k", 0.57, 0.7, 0.0},        {"v", 0.93, 0.9, 0.0},
    {"gates", 1.1, 0.3, 0.0}, {"gate_bias", 0.9, 1.0, 0.5}, {"skip", 0.7, 0.5, 1.0},
    {"down", 0.37, 0.5, 0.0}, {"norm", 0.63, 0.4, 1.0}};

// The golden's shapes: width 8, inner 16, 2 heads of 8, 2 sequences of 11.
TestPart golden_mixer(at::ScalarType type) {
  ModelConfig m;
  m.width = 8;
  m.head_dim = 4;
  m.ssm_chunk = 4;
  m.norm_gain = true;
  return {"mlstm", m, waves, type};
}

}  // namespace

TEST_CASE("mlstm's output, states and gradients equal an independent implementation") {
  const Json golden = read_golden("xlstm.json").at("mlstm");
  for (const auto& [type, tolerance] :
       {std::pair{at::kDouble, 1e-11}, std::pair{at::kFloat, 1e-5}}) {
    CAPTURE(tolerance);
    const MixerState state = check_part(golden_mixer(type), golden, tolerance);
    const Tensor memory = state[1] * state[2].exp().unsqueeze(-1).unsqueeze(-1);
    check_state(state[0], golden.at("past"), tolerance);
    check_state(memory.narrow(-1, 0, 8), golden.at("last_C"), tolerance);
    check_state(memory.select(-1, 8), golden.at("last_n"), tolerance);
  }
}

TEST_CASE("mlstm over a sequence is mlstm step by step, and in uneven pieces") {
  check_pieces(golden_mixer(at::kDouble));
}

TEST_CASE("mlstm starts as the authors' code: gates closed to the input, forget biases 3 to 6") {
  RunConfig config = tiny_config();
  config.model.width = 256;
  config.model.head_dim = 1;  // 256 heads
  config.model.position = "none";
  config.model.mixer = "mlstm";
  const auto values = started(config);
  const auto find = [&](const char* name) {
    return values.at("blocks.0.mixer." + std::string(name));
  };
  CHECK(find("gates").eq(0.0).all().item<bool>());
  CHECK(find("skip").eq(1.0).all().item<bool>());
  const Tensor input = find("gate_bias").narrow(-1, 0, 256);
  CHECK(std::abs(input.mean().item<double>()) < 4.0 * 0.1 / 16.0);
  CHECK(input.std().item<double>() == doctest::Approx(0.1).epsilon(0.2));
  const Tensor forget = find("gate_bias").narrow(-1, 256, 256).flatten();
  CHECK(forget[0].item<double>() == 3.0);
  CHECK(forget[255].item<double>() == doctest::Approx(6.0));
  CHECK(forget[51].item<double>() == doctest::Approx(3.6));
  CHECK(find("q").std().item<double>() == doctest::Approx(0.5).epsilon(0.1));
  CHECK(find("conv").abs().max().item<double>() <= 0.5);
  CHECK(!find("gate_bias").equal(values.at("blocks.1.mixer.gate_bias")));
}

TEST_CASE("mlstm's tensors, parameters and FLOPs follow from its shape") {
  RunConfig config = tiny_config();  // width 24, depth 2, ffn 60
  config.model.mixer = "mlstm";
  config.model.head_dim = 6;
  config.model.norm_gain = false;
  const Decoder d = make_decoder(config, 11);
  const int64_t inner = 48, heads = 4, size = 12, ffn = 3 * 24 * 60;
  const int64_t maps = 24 * 2 * inner + inner * 24 + 2 * heads * 3 * inner;
  const int64_t small = (3 * 4 + 4) * inner;  // q, k, v and the filters
  CHECK(count(d.layout.tensors).N == 2 * (maps + small + 2 * inner + 2 * heads + ffn) + 24 * 11);
  const double matrices = 2.0 * static_cast<double>(2 * (maps + small + ffn) + 24 * 11);
  const double scan = 5.0 * static_cast<double>(inner * (size + 1));
  CHECK(forward_flops(d, 18) == doctest::Approx(18.0 * (matrices + 2.0 * scan)));
  CHECK(forward_flops_per_token(d.layout.tensors, 2.0 * scan) ==
        doctest::Approx(matrices + 2.0 * scan));
}

TEST_CASE("mlstm's roles: what grows with the width, what does not, and what never decays") {
  const auto factors_of = [](int64_t width, const char* rule) {
    RunConfig config = tiny_config();
    config.parametrisation = rule;
    config.base_width = 32;
    config.model.width = width;
    config.model.mixer = "mlstm";
    return factors_by_name(config);
  };
  const auto base = factors_of(32, "mup"), wide = factors_of(128, "mup");
  const auto f = [](const auto& all, const char* name) {
    return all.at("blocks.0.mixer." + std::string(name));
  };
  for (const char* name : {"up", "down"})
    CHECK(f(wide, name).C == doctest::Approx(f(base, name).C / 4.0));
  CHECK(f(wide, "gates").A == doctest::Approx(f(base, "gates").A / 4.0));
  CHECK(f(wide, "gates").C == doctest::Approx(f(base, "gates").C));
  CHECK(f(wide, "gates").B == 0.0);
  for (const char* name : {"conv", "conv_bias", "q", "k", "v", "gate_bias", "skip"}) {
    CHECK(f(wide, name).A == 1.0);
    CHECK(f(wide, name).C == doctest::Approx(f(base, name).C));
  }
  for (const char* name : {"conv_bias", "gate_bias", "skip"}) CHECK(f(wide, name).decay == 0.0);
  for (const char* name : {"conv", "q", "gates", "up"}) CHECK(f(wide, name).decay > 0.0);
  const auto unit = factors_of(128, "umup");
  CHECK(f(unit, "q").C == doctest::Approx(1.0 / std::sqrt(128.0 * 2.0)));
}

TEST_CASE("mlstm names the shapes it cannot have") {
  const auto message = [](auto change) {
    RunConfig config = tiny_config();
    config.model.mixer = "mlstm";
    change(config);
    return error_of([&] { make_decoder(config, 11); });
  };
  CHECK(message([](RunConfig& c) {
          c.model.width = 9, c.model.head_dim = 3, c.model.ssm_expand = 1;
          c.model.position = "none";
        }).find("multiple of 4. Received 1 x 9") != std::string::npos);
}

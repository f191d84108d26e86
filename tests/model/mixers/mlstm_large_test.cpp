#include "scaling/count.h"
#include "support/configs.h"
#include "support/parts.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

const std::vector<Wave> waves{{"q", 0.71, 0.6, 0.0},    {"k", 1.7, 0.8, 0.0},
                              {"v", 0.57, 0.7, 0.0},    {"o", 0.93, 0.9, 0.0},
                              {"gates", 1.1, 3.0, 0.0}, {"gate_bias", 0.9, 9.0, 0.0},
                              {"out", 0.37, 0.5, 0.0},  {"norm", 0.63, 0.4, 1.0}};

// The golden's shapes: width 8, 2 heads of 4 with keys of 2, 2 sequences of 11.
TestPart golden_mixer(at::ScalarType type) {
  ModelConfig m;
  m.width = 8;
  m.head_dim = 4;
  m.ssm_chunk = 4;
  m.norm_gain = true;
  return {"mlstm-large", m, waves, type};
}

}  // namespace

TEST_CASE("mlstm-large's output, states and gradients equal an independent implementation") {
  const Json golden = read_golden("xlstm.json").at("mlstm_large");
  for (const auto& [type, tolerance] :
       {std::pair{at::kDouble, 1e-11}, std::pair{at::kFloat, 1e-5}}) {
    CAPTURE(tolerance);
    const MixerState state = check_part(golden_mixer(type), golden, tolerance);
    const Tensor memory = state[0] * state[1].exp().unsqueeze(-1).unsqueeze(-1);
    check_state(memory.narrow(-1, 0, 4), golden.at("last_C"), tolerance);
    check_state(memory.select(-1, 4), golden.at("last_n"), tolerance);
  }
}

TEST_CASE("mlstm-large over a sequence is itself step by step, and in uneven pieces") {
  check_pieces(golden_mixer(at::kDouble));
}

TEST_CASE("mlstm-large's start, parameters and FLOPs follow from its shape") {
  RunConfig config = tiny_config();  // width 24, depth 2, ffn 60
  config.model.mixer = "mlstm-large";
  config.model.head_dim = 6;
  const auto values = started(config);
  CHECK(values.at("blocks.0.mixer.gates").eq(0.0).all().item<bool>());
  const Tensor bias = values.at("blocks.1.mixer.gate_bias").flatten();
  for (int64_t head = 0; head < 4; ++head) {
    CHECK(bias[head].item<double>() == -10.0);
    CHECK(bias[4 + head].item<double>() == doctest::Approx(3.0 + static_cast<double>(head)));
  }
  const Decoder d = make_decoder(config, 11);
  const int64_t maps = 24 * (12 + 12 + 24 + 24 + 24 + 8), ffn = 3 * 24 * 60;
  CHECK(count(d.layout.tensors).N == 2 * (maps + 8 + ffn) + 24 * 11);
  const double matrices = 2.0 * static_cast<double>(2 * (maps + ffn) + 24 * 11);
  CHECK(forward_flops(d, 18) == doctest::Approx(18.0 * (matrices + 2.0 * 5.0 * 4 * 3 * 7)));
}

TEST_CASE("mlstm-large names the shapes it cannot have") {
  const auto message = [](auto change) {
    RunConfig config = tiny_config();
    config.model.mixer = "mlstm-large";
    change(config);
    return error_of([&] { make_decoder(config, 11); });
  };
  CHECK(message([](RunConfig& c) {
          c.model.head_dim = 3, c.model.position = "none";
        }).find("must be even. Received 3") != std::string::npos);
}

#include "scaling/count.h"
#include "support/configs.h"
#include "support/parts.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

const std::vector<Wave> waves{{"fcg", 0.73, 0.6, 0.0},
                              {"out", 0.37, 0.5, 0.0},
                              {"norm", 0.63, 0.4, 1.0},
                              {"bounds", 1.3, 0.8, 0.0}};

// The golden's shapes: width 8, the last of three layers, 2 sequences of 11.
TestPart golden_mixer(at::ScalarType type, bool ternary) {
  ModelConfig m;
  m.width = 8;
  m.depth = 3;
  m.norm_gain = true;
  TestPart part("mlgru", m, waves, type);
  part.layer = 2;
  if (ternary)
    for (size_t i = 0; i < 2; ++i)
      part.weights[i].ternary = std::make_shared<const std::vector<int64_t>>(
          i == 0 ? std::vector<int64_t>{8, 8, 8} : std::vector<int64_t>{8});
  return part;
}

RunConfig mlgru_config() {
  RunConfig config = tiny_config();  // width 24, depth 2, ffn 60
  config.model.mixer = "mlgru";
  return config;
}

}  // namespace

TEST_CASE("MLGRU equals an independent implementation, with dense maps and ternary ones") {
  for (const bool ternary : {false, true})
    for (const auto& [type, tolerance] :
         {std::pair(at::kDouble, 1e-11), std::pair(at::kFloat, 1e-5)}) {
      CAPTURE(ternary);
      const Json golden = read_golden("ternary.json").at(ternary ? "ternary" : "dense");
      const MixerState state = check_part(golden_mixer(type, ternary), golden, tolerance);
      check_state(state[0], golden.at("state"), tolerance);
    }
}

TEST_CASE("MLGRU in pieces is MLGRU at once") {
  for (const bool ternary : {false, true}) check_pieces(golden_mixer(at::kDouble, ternary));
}

TEST_CASE("the first layer forgets freely, and later ones keep a share of their state") {
  TestPart part = golden_mixer(at::kDouble, false);
  part.weights[0].value.fill_(-100.0);  // gates as closed as they go
  const Tensor x = at::ones({1, 1, 3, 8}, at::kDouble);
  const auto kept = [&](int layer) {
    part.layer = layer;
    MixerState state{at::ones({1, 1, 8}, at::kDouble)};
    part.forward(x.narrow(2, 0, 1), &state);
    return state[0].min().item<double>();
  };
  const Tensor share = part.weights[3].value.view({3, 8}).softmax(0);
  CHECK(kept(0) < 1e-12);
  CHECK(kept(1) == doctest::Approx(share[1].min().item<double>()));
  CHECK(kept(2) == doctest::Approx((share[1] + share[2]).min().item<double>()));
}

TEST_CASE("MLGRU's tensors, counts and FLOPs") {
  RunConfig config = mlgru_config();
  const Decoder d = make_decoder(config, 11);
  const int64_t block = 24 * 72 + 24 * 24 + 24 * 120 + 60 * 24;
  CHECK(count(d.layout.tensors).N == 2 * block + 2 * 24 + 24 * 11);
  CHECK(forward_flops(d, 18) ==
        doctest::Approx(2.0 * 18.0 * (2 * block + 24 * 11) + 2.0 * 2.0 * 18.0 * 24.0));
  const auto values = started(config);
  CHECK(values.at("shared.mlgru.bounds").abs().max().item<double>() == 0.0);
  CHECK(factors_by_name(config).at("shared.mlgru.bounds").decay == 0.0);
  CHECK(!values.contains("blocks.0.mixer.bounds"));
  config.model.pattern = "attention, mlgru";
  CHECK(count(make_decoder(config, 11).layout.tensors).N == 2 * block + 2 * 24 + 24 * 11);
}

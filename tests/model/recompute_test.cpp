// Blocks that keep no activations: the same bits, and less memory.
#include "support/memory.h"
#include "support/models.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr int64_t vocabulary = 11;

const std::vector<Variant> variants{
    {"attention", [](RunConfig&) {}},
    {"u-muP", [](RunConfig& c) { c.parametrisation = "umup"; }},
    {"gains, norms after",
     [](RunConfig& c) { c.model.norm_gain = true, c.model.norm_place = "after"; }},
    {"norms on both sides, tied",
     [](RunConfig& c) { c.model.norm_place = "both", c.model.norm_gain = c.model.tied = true; }},
    {"parallel, layernorm with biases",
     [](RunConfig& c) {
       c.model.parallel = true, c.model.norm = "layernorm";
       c.model.norm_gain = c.model.norm_bias = c.model.ffn_bias = true;
     }},
    {"mixed, experts",
     [](RunConfig& c) {
       c.model.pattern = "mamba2, attention, mlstm", c.model.ssm_head_dim = 12;
       c.model.ffn_pattern = "moe, swiglu, none";
     }},
    {"scalar memories", [](RunConfig& c) { c.model.mixer = "slstm"; }},
    {"shared bounds", [](RunConfig& c) { c.model.mixer = "mlgru", c.model.ffn_gain = 0.5; }},
    {"heads", [](RunConfig& c) { c.model.mtp_heads = 3; }},
    {"formats", [](RunConfig& c) {
       c.formats.weight = "e4m3", c.formats.activation = "e4m3 tensor";
       c.formats.gradient = "e5m2 stochastic";
     }}};

RunConfig config_of(const Variant& variant) {
  RunConfig config = tiny_config();
  config.model.depth = 6;
  config.model.context = 7;
  variant.change(config);
  return config;
}

}  // namespace

TEST_CASE("blocks computed anew give the losses and the gradients of those that keep theirs") {
  for (const Variant& variant : variants) {
    CAPTURE(std::string(variant.name));
    RunConfig config = config_of(variant);
    Model plain = make_model(config, vocabulary, at::kFloat, 2);
    const Batch batch = make_batch(config, vocabulary, 2, 3);
    const Tensor losses = loss_and_gradient(plain, batch);
    CHECK(plain.gradient.abs().max().item<double>() > 0.0);
    for (const int64_t every : {1, 2, 3}) {
      CAPTURE(every);
      config.train.recompute = every;
      Model anew = make_model(config, vocabulary, at::kFloat, 2);
      CHECK(same_bits(loss_and_gradient(anew, batch), losses));
      CHECK(same_bits(anew.gradient, plain.gradient));
    }
  }
}

TEST_CASE("blocks computed anew keep their inputs alone") {
  RunConfig config = tiny_config();
  config.model.width = 32, config.model.depth = 16, config.model.context = 32;
  const Batch batch = make_batch(config, vocabulary, 1, 4);
  const auto peak = [&](int64_t every) {
    config.train.recompute = every;
    Model model = make_model(config, vocabulary, at::kFloat);
    loss_and_gradient(model, batch);
    return static_cast<double>(peak_bytes([&] { loss_and_gradient(model, batch); }));
  };
  const double all = peak(0), half = peak(2), none = peak(1);
  const double stream = 4.0 * 32.0 * 4.0 * 32.0;  // one activation of the residual's size
  // A block keeps the stream and the branch behind it, and one is at work.
  const double block = (all - none) / 15.0;
  CHECK(none < 0.25 * all);
  CHECK(none > 2.0 * 16.0 * stream);
  CHECK(half == doctest::Approx((all + none) / 2.0).epsilon(0.1));
  CHECK(block > 10.0 * stream);  // of the attention's and the ffn's inner activations
}

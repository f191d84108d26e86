#include <ATen/ops/arange.h>

#include <cmath>

#include "scaling/count.h"
#include "support/models.h"
#include "support/parts.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

// The golden's shapes: width 8, 2 heads of 4, 2 sequences of 11.
TestPart golden_mixer(at::ScalarType type) {
  ModelConfig m;
  m.width = 8;
  m.head_dim = 4;
  const std::vector<Wave> waves{{"query", 0.71, 0.8, 0.0}, {"key", 0.57, 0.9, 0.0},
                                {"alpha", 1.3, 0.4, 1.0},  {"beta", 0.9, 0.5, 1.1},
                                {"gamma", 1.7, 0.3, 0.9},  {"value", 0.43, 0.3, 0.0},
                                {"out", 0.37, 0.3, 0.0}};
  return {"sas-vp", m, waves, type};
}

RunConfig sas_config() {
  RunConfig config = tiny_config();  // width 24, depth 2
  config.model.mixer = "sas";
  return config;
}

// The golden's decoder with its weights, which are sines by name.
Model golden_decoder(bool parallel, at::ScalarType type) {
  RunConfig config = sas_config();
  config.model.width = 8, config.model.head_dim = 4, config.model.context = 11;
  config.model.position = "none";
  config.model.ffn = "gelu", config.model.ffn_ratio = 2.0, config.model.ffn_gain = 0.1;
  config.model.parallel = parallel;
  if (parallel) config.model.norm_place = "none";
  Model model = make_model(config, 7, type);
  const Layout& layout = model.decoder.layout;
  const auto set = [&](const std::string& name, double step, double size, double shift) {
    for (size_t i = 0; i < layout.tensors.size(); ++i)
      if (layout.tensors[i].name == name) {
        Tensor value = view(layout, model.weights, i);
        value.copy_(sines(value.sizes().vec(), step, size, shift));
        return;
      }
    FAIL(name);
  };
  set("embedding", 0.83, 1.2, 0.0);
  set("readout", 0.63, 0.5, 0.0);
  for (const int layer : {0, 1}) {
    const std::string block = fmt::format("blocks.{}.", layer);
    const double more = 0.05 * layer;
    set(block + "mixer.query", 0.71 + more, 0.8, 0.0);
    set(block + "mixer.key", 0.57 + more, 0.9, 0.0);
    set(block + "mixer.alpha", 1.3 + more, 0.4, 1.0);
    set(block + "mixer.beta", 0.9 + more, 0.5, 1.1);
    set(block + "mixer.gamma", 1.7 + more, 0.3, 0.9);
    set(block + "ffn_gain", 1.0, 0.0, 0.3 + 0.1 * layer);
    set(block + "ffn.up", 0.49 + more, 0.6, 0.0);
    set(block + "ffn.down", 0.39 + more, 0.5, 0.0);
  }
  return model;
}

}  // namespace

TEST_CASE("sas with values and output map equals an independent implementation") {
  const Json golden = read_golden("sas.json").at("mixer");
  check_part(golden_mixer(at::kDouble), golden, 1e-10);
  check_part(golden_mixer(at::kFloat), golden, 1e-5);
}

TEST_CASE("sas over a sequence is sas step by step, and in uneven pieces") {
  check_pieces(golden_mixer(at::kDouble));
}

TEST_CASE("decoders of SAS and of SAS-P without norms equal an independent implementation") {
  const Tensor windows = at::arange(24, at::kLong).mul(5).remainder(7).view({1, 2, 12});
  const Batch batch{windows.narrow(2, 0, 11).contiguous(), windows.narrow(2, 1, 11).contiguous()};
  for (const bool parallel : {false, true})
    for (const auto& [type, tolerance] :
         {std::pair{at::kDouble, 1e-10}, std::pair{at::kFloat, 1e-5}}) {
      CAPTURE(parallel);
      const Json golden = read_golden("sas.json").at(parallel ? "parallel" : "sequential");
      Model model = golden_decoder(parallel, type);
      const Tensor losses = loss_and_gradient(model, batch);
      CHECK(distance(losses, golden_tensor(golden.at("losses"), losses)) < tolerance);
      const Layout& layout = model.decoder.layout;
      for (size_t i = 0; i < layout.tensors.size(); ++i) {
        CAPTURE(layout.tensors[i].name);
        const Tensor gradient = view(layout, model.gradient, i);
        const Tensor want = golden_tensor(golden.at("d" + layout.tensors[i].name), gradient);
        CHECK(distance(gradient, want) < tolerance);
      }
    }
}

TEST_CASE("sas starts as the identity, whatever its variant and the positions") {
  for (const char* mixer : {"sas", "sas-v", "sas-vp"}) {
    RunConfig config = sas_config();
    config.model.mixer = mixer;
    config.model.ffn = "none";
    const Decoder d = make_decoder(config, 11);
    Tensor row = at::zeros({1, d.layout.stride}, at::kDouble);
    initialise(d.layout, row.select(0, 0), 3);
    const Tensor tokens = ids({1, 2, 9}, 11, 5);
    Tensor stream;
    hidden_states(d, bind(d.layout, row, Tensor()), tokens,
                  make_ropes(config.model, 9, row.options()), nullptr, &stream);
    const Tensor rows = view(d.layout, row, 0)[0].index_select(0, tokens.flatten());
    const Tensor want = rows * (rows * rows).mean({-1}, true).add(1e-6).rsqrt();
    CHECK(distance(stream.flatten(0, 2), want) < 1e-5);  // two norms, each with its epsilon
  }
}

TEST_CASE("sas's tensors, parameters and FLOPs follow from its shape") {
  const auto counted = [](const char* mixer) {
    RunConfig config = sas_config();
    config.model.mixer = mixer;
    config.model.ffn_gain = 0.1;
    return make_decoder(config, 11);
  };
  const int64_t ffn = 3 * 24 * 60, gains = 3 * 4 + 1;
  for (const auto& [mixer, maps] :
       {std::pair{"sas", 2}, std::pair{"sas-v", 3}, std::pair{"sas-vp", 4}}) {
    const Decoder d = counted(mixer);
    const int64_t block = maps * 24 * 24 + ffn;
    CHECK(count(d.layout.tensors).N == 2 * (block + gains) + 24 * 11);
    const double pairs = 18.0 * 19.0 / 2.0;  // visible, each a product for score and mixture
    CHECK(forward_flops(d, 18) ==
          doctest::Approx(18.0 * 2.0 * static_cast<double>(2 * block + 24 * 11) +
                          2.0 * 2.0 * 2.0 * pairs * 24.0));
  }
}

TEST_CASE("sas's roles: maps grow with the width, gains do not and never decay") {
  const auto factors_of = [](int64_t width) {
    RunConfig config = sas_config();
    config.parametrisation = "mup";
    config.base_width = 32;
    config.model.width = width;
    config.model.mixer = "sas-vp";
    config.model.ffn_gain = 0.1;
    return factors_by_name(config);
  };
  const auto base = factors_of(32), wide = factors_of(128);
  for (const char* name : {"mixer.query", "mixer.key", "mixer.value", "mixer.out"})
    CHECK(wide.at("blocks.0." + std::string(name)).C ==
          doctest::Approx(base.at("blocks.0." + std::string(name)).C / 4.0));
  for (const char* name : {"mixer.alpha", "mixer.beta", "mixer.gamma", "ffn_gain"}) {
    CHECK(wide.at("blocks.0." + std::string(name)).C == doctest::Approx(1.0));
    CHECK(wide.at("blocks.0." + std::string(name)).decay == 0.0);
  }
  CHECK(wide.at("blocks.0.mixer.query").B == 0.0);
  CHECK(wide.at("blocks.0.mixer.key").B == doctest::Approx(1.0 / std::sqrt(128.0)));
}

TEST_CASE("a parallel block with attention is h + f(norm h) + g(norm h)") {
  RunConfig config = tiny_config();
  config.model.parallel = true, config.model.norm_gain = true, config.model.depth = 1;
  const Model model = make_model(config, 11, at::kDouble);
  const Decoder& d = model.decoder;
  CHECK(std::none_of(d.layout.tensors.begin(), d.layout.tensors.end(),
                     [](const TensorSpec& t) { return t.name == "blocks.0.ffn_norm"; }));
  const Tensor tokens = ids({1, 2, 18}, 11, 5);
  Tensor stream;
  const auto weights = bind(d.layout, model.weights, Tensor());
  hidden_states(d, weights, tokens, model.ropes, nullptr, &stream);
  const Tensor h =
      weights[0].value[0].index_select(0, tokens.flatten()).view({1, 2, 18, config.model.width});
  const Tensor x = h * (h * h).mean({-1}, true).add(1e-6).rsqrt() * weights[1].value;
  const Pass pass{.model = d.model, .block = d.block, .rope = model.ropes.global};
  const auto own = std::span<const Weight>(weights);
  const Tensor want = h + d.mixers[0]->forward(own.subspan(d.mixer_start[0]), x, pass) +
                      d.ffns[0]->forward(own.subspan(d.ffn_start[0]), x, pass);
  CHECK(distance(stream, want) < 1e-12);
}

TEST_CASE("what sas and its blocks cannot do is refused by name") {
  const auto refused = [](const std::function<void(RunConfig&)>& change, const char* words) {
    RunConfig config = sas_config();
    change(config);
    const std::string error = error_of([&] { make_decoder(config, 11); });
    CAPTURE(error);
    CHECK(error.find(words) != std::string::npos);
  };
  refused([](RunConfig& c) { c.model.head_dim = 6, c.model.kv_heads = 2; }, "model.kv_heads");
  refused([](RunConfig& c) { c.model.window = 4; }, "model.window");
  refused([](RunConfig& c) { c.model.position = "cope"; }, "model.position");
  refused([](RunConfig& c) { c.model.attention_bias = "all"; }, "model.attention_bias");
  refused([](RunConfig& c) { c.model.qk_norm = true; }, "model.qk_norm");
  for (const char* rule : {"umup", "completep", "depth-mup"})
    refused([&](RunConfig& c) { c.parametrisation = rule; }, "blocks without a skip");
  refused([](RunConfig& c) { c.model.parallel = true, c.model.norm_place = "both"; },
          "model.norm_place = both");
  const auto plain = [](RunConfig& c) { c.model.mixer = "attention", c.parametrisation = "umup"; };
  refused([&](RunConfig& c) { plain(c), c.model.parallel = true; }, "model.parallel");
  refused([&](RunConfig& c) { plain(c), c.model.ffn_gain = 0.1; }, "model.ffn_gain");
  refused([&](RunConfig& c) { plain(c), c.model.norm_place = "none"; }, "norms before branches");
}

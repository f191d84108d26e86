// Decoders with ternary maps.
#include "scaling/count.h"
#include "support/model_checks.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr int64_t vocabulary = 11;

const std::vector<Variant> variants{
    {"attention", [](RunConfig&) {}},
    {"gqa, geglu, umup",
     [](RunConfig& c) {
       c.model.head_dim = 6, c.model.kv_heads = 2, c.model.ffn = "geglu";
       c.parametrisation = "umup";
     }},
    {"2b4t",
     [](RunConfig& c) {
       c.model.linear = "ternary", c.model.sub_norm = true, c.model.norm_gain = true;
       c.model.ffn = "reglu2", c.model.kv_heads = 2;
     }},
    {"mlgru", [](RunConfig& c) { c.model.mixer = "mlgru", c.model.position = "none"; }},
    {"mamba2, relu2, mup",
     [](RunConfig& c) {
       c.model.mixer = "mamba2", c.model.ffn = "relu2", c.parametrisation = "mup";
     }},
    {"mlstm, gelu", [](RunConfig& c) { c.model.mixer = "mlstm", c.model.ffn = "gelu"; }},
    {"mlstm-large, none",
     [](RunConfig& c) { c.model.mixer = "mlstm-large", c.model.ffn = "none"; }}};

RunConfig config_of(const Variant& variant) {
  RunConfig config = tiny_config();
  config.model.linear = "bitnet";
  variant.change(config);
  return config;
}

}  // namespace

TEST_CASE("hidden maps are ternary, nothing else is, and every tensor learns") {
  for (const Variant& variant : variants) {
    CAPTURE(variant.name);
    const RunConfig config = config_of(variant);
    Model model = make_model(config, vocabulary, at::kDouble);
    loss_and_gradient(model, make_batch(config, vocabulary, 1, 3));
    const auto bound = model.bound();
    int64_t ternary = 0;
    for (size_t i = 0; i < bound.size(); ++i) {
      const TensorSpec& spec = model.decoder.layout.tensors[i];
      CAPTURE(spec.name);
      CHECK(bool(bound[i].ternary) == (spec.role == Role::hidden));
      CHECK(bound[i].gradient.abs().max().item<double>() > 0.0);
      if (!bound[i].ternary) continue;
      ++ternary;
      int64_t rows = 0;
      for (const int64_t part : *bound[i].ternary) rows += part;
      CHECK(rows == spec.shape[0]);
    }
    CHECK(ternary >= 4);
  }
}

TEST_CASE("the model sees no more of its maps than their signs and scales") {
  for (const Variant& variant : variants) {
    CAPTURE(variant.name);
    const RunConfig config = config_of(variant);
    Model model = make_model(config, vocabulary, at::kDouble);
    const Batch batch = make_batch(config, vocabulary, 1, 2);
    const at::NoGradGuard off;
    const Tensor before = token_logits(model.decoder, model.bound(), batch.tokens, model.ropes);
    // Swap two weights that round to the same code: nothing changes.
    const auto bound = model.bound();
    for (const Weight& w : bound) {
      if (!w.ternary) continue;
      const Tensor first = w.value.select(1, 0);
      const double mean = w.value.narrow(1, 0, w.ternary->front()).abs().mean().item<double>();
      const Tensor large = (first > mean).nonzero();
      REQUIRE(large.size(0) >= 2);
      const int64_t a = large[0][1].item<int64_t>(), b = large[1][1].item<int64_t>();
      const double kept = first[0][a].item<double>();
      first[0][a].copy_(first[0][b]);
      first[0][b].fill_(kept);
    }
    const Tensor after = token_logits(model.decoder, model.bound(), batch.tokens, model.ropes);
    CHECK(distance(after, before) < 1e-12);
  }
}

TEST_CASE("generation with a cache is the whole sequence read at once, with ternary maps") {
  for (const Variant& variant : variants) {
    CAPTURE(variant.name);
    check_cache(config_of(variant), vocabulary, 1e-11);
  }
}

TEST_CASE("ternary maps count as dense ones, and what has none is refused by name") {
  RunConfig config = tiny_config();
  const Decoder dense = make_decoder(config, vocabulary);
  config.model.linear = "bitnet";
  const Decoder ternary = make_decoder(config, vocabulary);
  CHECK(count(ternary.layout.tensors).N == count(dense.layout.tensors).N);
  CHECK(forward_flops(ternary, 18) == forward_flops(dense, 18));
  const auto message = [&](auto change) {
    RunConfig changed = config;
    change(changed);
    return error_of([&] { make_decoder(changed, vocabulary); });
  };
  const auto holds = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(holds(message([](RunConfig& c) { c.model.mixer = "slstm"; }), "slstm has no ternary form"));
  CHECK(holds(message([](RunConfig& c) { c.model.ffn = "moe"; }), "moe has no ternary form"));
  CHECK(holds(message([](RunConfig& c) { c.model.position = "cope"; }), "neither CoPE"));
  CHECK(holds(message([](RunConfig& c) { c.model.density = 0.5; }), "density below 1"));
}

#include "model/decoder.h"

#include "model/decoder_variants.h"
#include "ops/norm.h"
#include "support/model_checks.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr int64_t vocabulary = 11;

RunConfig config_of(const Variant& variant) {
  RunConfig config = tiny_config();
  variant.change(config);
  return config;
}

double mean_loss(const Model& model, const Batch& batch) {
  at::NoGradGuard off;
  const auto bound = bind(model.decoder.layout, model.weights, Tensor());
  return token_losses(model.decoder, bound, batch.tokens, batch.targets, model.ropes, 1.0)
      .mean()
      .item<double>();
}

}  // namespace

TEST_CASE("gradients equal central differences of the loss in fp64") {
  for (const Variant& variant : decoder_variants) {
    CAPTURE(variant.name);
    RunConfig config = config_of(variant);
    config.model.context = 7;
    Model model = make_model(config, vocabulary, at::kDouble);
    const Batch batch = make_batch(config, vocabulary, 1, 2);
    loss_and_gradient(model, batch);
    check_gradient(model, [&] { return mean_loss(model, batch); });
  }
}

namespace {

// Every part, and unit scaling around them.
std::vector<Variant> fused_variants() {
  std::vector<Variant> all = decoder_variants;
  all.push_back({"three heads, mup, gains", [](RunConfig& c) {
                   c.parametrisation = "mup", c.model.depth = 4, c.model.mtp_heads = 3;
                   c.model.norm_gain = true;
                 }});
  all.push_back({"umup", [](RunConfig& c) { c.parametrisation = "umup"; }});
  all.push_back({"umup, moe and peer", [](RunConfig& c) {
                   c.parametrisation = "umup", c.model.ffn_pattern = "moe, peer";
                   c.model.moe_shared = 1, c.model.peer_shared = 5;
                 }});
  all.push_back({"umup, ffns by layer", [](RunConfig& c) {
                   c.parametrisation = "umup", c.model.ffn_pattern = "none, gelu";
                   c.model.norm_gain = true, c.multipliers.alpha_ratio = 1.5;
                 }});
  all.push_back({"umup, norms on both sides, caps", [](RunConfig& c) {
                   c.parametrisation = "umup", c.model.norm_place = "both";
                   c.model.norm_gain = true, c.model.attention_cap = 3.0, c.model.logit_cap = 5.0;
                 }});
  all.push_back({"umup, gelu, tied, gains", [](RunConfig& c) {
                   c.parametrisation = "umup", c.model.ffn = "gelu", c.model.tied = true;
                   c.model.norm_gain = true, c.multipliers = {0.7, 1.3, 0.6, 1.5, 1.2, 0.8};
                 }});
  return all;
}

}  // namespace

TEST_CASE("the fused decoder in fp32 is the plain decoder in fp64") {
  for (const Variant& variant : fused_variants())
    for (const int64_t members : {1, 3}) {
      CAPTURE(variant.name);
      CAPTURE(members);
      const RunConfig config = config_of(variant);
      Model fused = make_model(config, vocabulary, at::kFloat, members);
      Model plain = make_model(config, vocabulary, at::kDouble, members);
      plain.weights.copy_(fused.weights);
      const Batch batch = make_batch(config, vocabulary, members, 3);
      const Tensor a = loss_and_gradient(fused, batch), b = loss_and_gradient(plain, batch);
      CHECK(distance(a, b) < 1e-5);
      for (size_t i = 0; i < fused.decoder.layout.tensors.size(); ++i) {
        CAPTURE(fused.decoder.layout.tensors[i].name);
        const auto part = [&](const Model& m) { return view(m.decoder.layout, m.gradient, i); };
        if (fused.decoder.layout.tensors[i].frozen) continue;
        CHECK(distance(part(fused), part(plain)) < 1e-4);
      }
    }
}

TEST_CASE("unit scaling's gradients are the true ones times one constant a tensor") {
  const std::vector<Variant> scaled{
      {"swiglu", [](RunConfig&) {}},
      {"mamba2", [](RunConfig& c) { c.model.mixer = "mamba2", c.model.ffn = "none"; }},
      {"mlstm", [](RunConfig& c) { c.model.mixer = "mlstm"; }},
      {"moe", [](RunConfig& c) { c.model.ffn = "moe", c.model.moe_experts = 3; }},
      {"fastfood", [](RunConfig& c) { c.model.ffn = "fastfood"; }},
      {"peer", [](RunConfig& c) {
         c.model.ffn = "peer", c.model.peer_experts = 9, c.model.peer_top_k = 2;
         c.model.peer_shared = 3;
       }}};
  for (const Variant& variant : scaled) {
    CAPTURE(variant.name);
    RunConfig config = config_of(variant);
    config.parametrisation = "umup";
    config.model.moe_balance = config.model.moe_z = 0.0;
    config.model.context = 7;
    Model model = make_model(config, vocabulary, at::kDouble);
    const Batch batch = make_batch(config, vocabulary, 1, 2);
    loss_and_gradient(model, batch);
    check_gradient_direction(model, [&] { return mean_loss(model, batch); });
  }
}

TEST_CASE("generation with a cache is the whole sequence read at once, for every part") {
  for (const Variant& variant : decoder_variants) {
    CAPTURE(variant.name);
    check_cache(config_of(variant), vocabulary, 1e-12);
  }
}

TEST_CASE("a decoder is recurrent when all of its layers are") {
  const auto recurrent = [](const char* pattern, const char* position) {
    RunConfig config = tiny_config();
    config.model.pattern = pattern;
    config.model.position = position;
    return is_recurrent(make_decoder(config, vocabulary));
  };
  CHECK(recurrent("mamba2", "rope"));
  CHECK(recurrent("mlstm, slstm", "none"));
  CHECK(!recurrent("mamba2, attention", "none"));
  CHECK(!recurrent("attention", "rope"));
  CHECK(!recurrent("mamba2", "learned"));
}

TEST_CASE("logits give the losses, and the padding of the arena gets no gradient") {
  for (const char* rule : {"standard", "mup", "umup"}) {
    RunConfig config = tiny_config();
    config.parametrisation = rule;
    config.multipliers.alpha_loss = 1.4;
    Model model = make_model(config, vocabulary, at::kFloat);
    const Batch batch = make_batch(config, vocabulary, 1, 2);
    const Tensor losses = loss_and_gradient(model, batch);
    const Tensor logits = token_logits(model.decoder, model.bound(), batch.tokens, model.ropes);
    const Tensor wanted = logits.gather(-1, batch.targets.unsqueeze(-1)).squeeze(-1);
    CHECK(distance(logits.logsumexp({-1}) - wanted, losses) < 1e-5);
    Tensor rest = model.gradient.clone();
    for (size_t i = 0; i < model.decoder.layout.tensors.size(); ++i)
      view(model.decoder.layout, rest, i).zero_();
    CHECK(rest.abs().max().item<double>() == 0.0);
  }
}

TEST_CASE("the residual stream is what the final norm reads") {
  for (const char* place : {"before", "after"}) {
    RunConfig config = tiny_config();
    config.model.norm_place = place;
    Model model = make_model(config, vocabulary, at::kDouble, 2);
    const Batch batch = make_batch(config, vocabulary, 2, 2);
    const at::NoGradGuard off;
    Tensor stream;
    const Tensor y =
        hidden_states(model.decoder, model.bound(), batch.tokens, model.ropes, nullptr, &stream);
    CHECK(distance(norm_plain(stream, Weight{}, {}), y) < 1e-12);
    CHECK(distance(stream, y) > 0.01);
  }
}

#include "model/heads.h"

#include <map>

#include "core/error.h"
#include "model/readout.h"
#include "scaling/count.h"
#include "support/golden_model.h"
#include "support/memory.h"
#include "support/model_checks.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

// Three heads of six blocks' kinds: the path to the next token has the first two blocks.
const std::vector<Variant> variants{
    {"attention", [](RunConfig&) {}},
    {"nothing but heads", [](RunConfig& c) { c.model.depth = 3; }},
    {"gains, norms after",
     [](RunConfig& c) { c.model.norm_gain = true, c.model.norm_place = "after"; }},
    {"norms on both sides, tied, capped",
     [](RunConfig& c) {
       c.model.norm_gain = true, c.model.norm_place = "both";
       c.model.tied = true, c.model.logit_cap = 3.0;
     }},
    {"heads of other mixers, layernorm with biases",
     [](RunConfig& c) {
       c.model.pattern = "attention, mamba2", c.model.ssm_head_dim = 12;
       c.model.norm = "layernorm", c.model.norm_bias = true, c.model.norm_gain = true;
     }},
    {"mlstm without ffns", [](RunConfig& c) { c.model.mixer = "mlstm", c.model.ffn = "none"; }},
    {"completep, learned positions",
     [](RunConfig& c) { c.parametrisation = "completep", c.model.position = "learned"; }}};

constexpr int64_t vocabulary = 11;

RunConfig config_of(const Variant& variant) {
  RunConfig config = tiny_config();
  config.model.depth = 4;
  config.model.mtp_heads = 3;
  config.model.context = 7;
  variant.change(config);
  return config;
}

// The losses of all heads: the next token's, then each further head's.
std::vector<Tensor> all_losses(const Model& model, const std::vector<Weight>& bound,
                               const Batch& batch, double gradient) {
  const Run run{.d = model.decoder, .weights = bound, .ropes = model.ropes};
  Tensor z;
  const Fork fork = [&](const Tensor& h) { return z = h; };
  const Hidden path = run_branches(run, model.decoder.path, embed(run, batch.tokens), fork);
  std::vector<Tensor> losses{
      readout_losses(model.decoder, bound, path.normed, batch.targets, gradient)};
  for (size_t k = 0; k < model.decoder.heads.size(); ++k)
    losses.push_back(head_losses(run, k, z, batch.targets, gradient));
  return losses;
}

double total_loss(const Model& model, const Batch& batch) {
  const at::NoGradGuard off;
  double total = 0.0;
  for (const Tensor& losses : all_losses(model, model.bound(), batch, 1.0))
    total += losses.sum().item<double>();
  return total / static_cast<double>(batch.tokens.numel());
}

// The same gradient from one backward pass over all heads.
void gradient_at_once(Model& model, const Batch& batch) {
  model.gradient.zero_();
  const double count = static_cast<double>(batch.tokens.size(1) * batch.tokens.size(2));
  Tensor total;
  for (const Tensor& losses :
       all_losses(model, model.bound(), batch, model.decoder.block.loss_gradient / count))
    total = total.defined() ? total + losses.sum() : losses.sum();
  total.backward();
}

}  // namespace

TEST_CASE("three heads equal an independent implementation") {
  for (const char* name : {"standard", "umup"})
    for (const auto& [type, tolerance] :
         std::map<at::ScalarType, double>{{at::kDouble, 1e-10}, {at::kFloat, 1e-5}}) {
      CAPTURE(name);
      const GoldenModel golden(std::string("mtp_") + name);
      Model model = golden.model(type);
      const Batch batch = golden.batch();
      const Tensor losses = loss_and_gradient(model, batch);
      CHECK(distance(losses[0], golden.tensor("losses:1")) < tolerance);
      golden.check_gradients(model, tolerance);
      const at::NoGradGuard off;
      const std::vector<Tensor> all = all_losses(model, model.bound(), batch, 1.0);
      for (size_t i = 0; i < all.size(); ++i)
        CHECK(distance(all[i][0], golden.tensor(fmt::format("losses:{}", i + 1))) < tolerance);
    }
}

TEST_CASE("gradients are those of the sum over heads in fp64") {
  for (const Variant& variant : variants) {
    CAPTURE(variant.name);
    const RunConfig config = config_of(variant);
    Model model = make_model(config, vocabulary, at::kDouble);
    const Batch batch = make_batch(config, vocabulary, 1, 2);
    loss_and_gradient(model, batch);
    check_gradient(model, [&] { return total_loss(model, batch); });
  }
}

TEST_CASE("heads differentiated one by one give the gradient of all at once, for every member") {
  for (Variant variant : variants)
    for (const auto& [type, tolerance] :
         std::map<at::ScalarType, double>{{at::kDouble, 1e-13}, {at::kFloat, 2e-6}}) {
      CAPTURE(variant.name);
      const RunConfig config = config_of(variant);
      Model model = make_model(config, vocabulary, type, 2);
      const Batch batch = make_batch(config, vocabulary, 2, 3);
      loss_and_gradient(model, batch);
      const Tensor one_by_one = model.gradient.clone();
      gradient_at_once(model, batch);
      for (size_t i = 0; i < model.decoder.layout.tensors.size(); ++i) {
        CAPTURE(model.decoder.layout.tensors[i].name);
        CHECK(distance(view(model.decoder.layout, one_by_one, i),
                       view(model.decoder.layout, model.gradient, i)) < tolerance);
      }
    }
}

TEST_CASE("the way to the next token is the decoder without further heads, to the bit") {
  for (const char* rule : {"standard", "umup", "completep"}) {
    CAPTURE(rule);
    RunConfig config = tiny_config();
    config.parametrisation = rule;
    config.model.depth = 4, config.model.mtp_heads = 3;
    Model heads = make_model(config, vocabulary, at::kFloat);
    config.model.depth = 2, config.model.mtp_heads = 1;
    Model plain = make_model(config, vocabulary, at::kFloat);
    std::map<std::string, size_t> places;
    for (size_t i = 0; i < heads.decoder.layout.tensors.size(); ++i)
      places[heads.decoder.layout.tensors[i].name] = i;
    for (size_t i = 0; i < plain.decoder.layout.tensors.size(); ++i) {
      const size_t k = places.at(plain.decoder.layout.tensors[i].name);
      const Factors &a = heads.decoder.layout.factors[k], &b = plain.decoder.layout.factors[i];
      CHECK((a.A == b.A && a.B == b.B && a.C == b.C && a.epsilon == b.epsilon));
      CHECK(same_bits(view(heads.decoder.layout, heads.weights, k),
                      view(plain.decoder.layout, plain.weights, i)));
    }
    const Batch batch = make_batch(config, vocabulary, 1, 2);
    CHECK(same_bits(loss_and_gradient(heads, batch), loss_and_gradient(plain, batch)));
    CHECK(same_bits(token_logits(heads.decoder, heads.bound(), batch.tokens, heads.ropes),
                    token_logits(plain.decoder, plain.bound(), batch.tokens, plain.ropes)));
  }
}

TEST_CASE("unit scaling's gradients of all heads are the true ones times one constant a tensor") {
  RunConfig config = config_of(variants[0]);
  config.parametrisation = "umup";
  Model model = make_model(config, vocabulary, at::kDouble);
  const Batch batch = make_batch(config, vocabulary, 1, 2);
  loss_and_gradient(model, batch);
  check_gradient_direction(model, [&] { return total_loss(model, batch); });
}

TEST_CASE("memory does not grow with the number of heads") {
  const auto peak = [](int64_t heads, bool at_once) {
    RunConfig config = tiny_config();
    config.model.depth = heads + 1, config.model.mtp_heads = heads;
    config.model.context = 32;
    const int64_t tokens = 500;  // of the vocabulary: logits outweigh what a block keeps
    Model model = make_model(config, tokens, at::kFloat);
    const Batch batch = make_batch(config, tokens, 1, 4);
    return peak_bytes(
        [&] { at_once ? gradient_at_once(model, batch) : void(loss_and_gradient(model, batch)); });
  };
  const int64_t logits = 4 * 32 * 500 * 4, two = peak(2, false), eight = peak(8, false);
  CHECK(two > logits);  // the meter sees them
  CHECK(static_cast<double>(eight) < 1.02 * static_cast<double>(two));
  CHECK(static_cast<double>(peak(8, true)) > 1.5 * static_cast<double>(eight));
}

TEST_CASE("counts and FLOPs of heads: every block once, the readout once a target") {
  RunConfig config = tiny_config();
  config.model.depth = 5;
  const Decoder plain = make_decoder(config, vocabulary);
  config.model.mtp_heads = 3;
  const Decoder heads = make_decoder(config, vocabulary);
  CHECK(count(heads.layout.tensors).N == count(plain.layout.tensors).N);
  CHECK(count(heads.layout.tensors).N_total == count(plain.layout.tensors).N_total);
  CHECK(forward_flops(heads, 18) - forward_flops(plain, 18) ==
        doctest::Approx(2.0 * (17.0 + 16.0) * 24.0 * vocabulary));
}

TEST_CASE("an evaluation reports each head's loss") {
  const RunConfig config = config_of(variants[0]);
  Model model = make_model(config, vocabulary, at::kDouble);
  const Batch batch = make_batch(config, vocabulary, 1, 2);
  const at::NoGradGuard off;
  const std::vector<Tensor> want = all_losses(model, model.bound(), batch, 1.0);
  Tally tally;
  const Tensor losses = token_losses(model.decoder, model.bound(), batch.tokens, batch.targets,
                                     model.ropes, 0.0, &tally);
  CHECK(same_bits(losses, want[0]));
  const std::vector<Statistic> found = tally.statistics(0);
  REQUIRE(found.size() == 2);
  for (size_t k = 0; k < 2; ++k) {
    CHECK(found[k].name == "loss");
    CHECK(found[k].layer == static_cast<int>(2 + k));
    CHECK(found[k].value == doctest::Approx(want[k + 1].mean().item<double>()).epsilon(1e-6));
  }
}

TEST_CASE("impossible heads are refused in one line") {
  const auto message = [](auto change) {
    RunConfig config = config_of(variants[0]);
    change(config);
    return error_of([&] { make_decoder(config, vocabulary); });
  };
  const auto holds = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(holds(message([](RunConfig& c) { c.model.depth = 2; }), "one of the 2 blocks"));
  CHECK(holds(message([](RunConfig& c) { c.model.context = 2; }), "at most the context of 2"));
  CHECK(holds(message([](RunConfig& c) { c.model.ffn_pattern = "swiglu x3, none"; }), "block 3"));
}

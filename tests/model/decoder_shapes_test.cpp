// What a decoder's shape alone decides: tensors, counts, FLOPs, refusals.
#include <set>

#include "core/error.h"
#include "model/decoder.h"
#include "scaling/count.h"
#include "support/models.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr int64_t vocabulary = 11;

}  // namespace

TEST_CASE("a model's tensors, counts and FLOPs follow from its shape") {
  RunConfig config = tiny_config();  // width 24, depth 2, heads of 6, ffn 60
  const Decoder decoder = make_decoder(config, vocabulary);
  std::set<std::string> names;
  for (const TensorSpec& t : decoder.layout.tensors) names.insert(t.name);
  CHECK(names.size() == decoder.layout.tensors.size());
  CHECK(names.contains("blocks.1.ffn.gate_up"));
  const int64_t block = 24 * 72 + 24 * 24 + 24 * 120 + 60 * 24;
  const Counts counts = count(decoder.layout.tensors);
  CHECK(counts.N == 2 * block + 24 * vocabulary);
  CHECK(counts.N_total == counts.N + 24 * vocabulary);
  const double time = 18.0, attention = 2.0 * 2.0 * time * (time + 1.0) / 2.0 * 24.0;
  CHECK(forward_flops(decoder, 18) ==
        doctest::Approx(2.0 * time * static_cast<double>(counts.N) + 2.0 * attention));
  CHECK(forward_flops(decoder, 18) ==
        doctest::Approx(time * forward_flops_per_token(decoder.layout.tensors,
                                                       2.0 * attention_flops_per_token(18, 4, 6))));
}

TEST_CASE("a block without an ffn holds and costs its mixer alone") {
  RunConfig config = tiny_config();  // width 24, depth 2, ffn 60
  config.model.norm_gain = true;
  const Decoder both = make_decoder(config, vocabulary);
  config.model.ffn_pattern = "none, gelu";
  const Decoder some = make_decoder(config, vocabulary);
  std::vector<std::string> names;
  for (const TensorSpec& t : some.layout.tensors) names.push_back(t.name);
  CHECK(names == std::vector<std::string>{"embedding", "blocks.0.mixer_norm", "blocks.0.mixer.qkv",
                                          "blocks.0.mixer.out", "blocks.1.mixer_norm",
                                          "blocks.1.mixer.qkv", "blocks.1.mixer.out",
                                          "blocks.1.ffn_norm", "blocks.1.ffn.up",
                                          "blocks.1.ffn.down", "final_norm", "readout"});
  const int64_t fewer = 24 * 180 + 24 * 60, gain = 24;
  CHECK(count(some.layout.tensors).N == count(both.layout.tensors).N - fewer - gain);
  CHECK(forward_flops(some, 18) ==
        doctest::Approx(forward_flops(both, 18) - 2.0 * 18.0 * static_cast<double>(fewer)));
}

TEST_CASE("position tables are counted where a token multiplies by them, and not beyond") {
  RunConfig config = tiny_config();  // four heads of 6, two layers
  const Counts plain = count(make_decoder(config, vocabulary).layout.tensors);
  const double flops = forward_flops(make_decoder(config, vocabulary), 18);
  config.model.position = "learned";
  const Decoder learned = make_decoder(config, vocabulary);
  CHECK(count(learned.layout.tensors).N == plain.N);
  CHECK(count(learned.layout.tensors).N_total == plain.N_total + 18 * 24);
  CHECK(forward_flops(learned, 18) == doctest::Approx(flops));
  config.model.position = "cope";
  config.model.cope_positions = 5;
  const Decoder cope = make_decoder(config, vocabulary);
  CHECK(count(cope.layout.tensors).N == plain.N + 2 * 5 * 6);
  CHECK(forward_flops(cope, 18) == doctest::Approx(flops + 2.0 * 2.0 * 18.0 * 5.0 * 24.0));
}

TEST_CASE("windows shorten what attention costs and leave the counts") {
  RunConfig config = tiny_config();
  const Decoder plain = make_decoder(config, vocabulary);
  config.model.window = 5;
  config.model.windows = "global, local";
  const Decoder local = make_decoder(config, vocabulary);
  CHECK(count(local.layout.tensors).N == count(plain.layout.tensors).N);
  // Positions 1 to 18 see 1, 2, 3, 4, then 5 each: 80 instead of 171 pairs of width 24.
  CHECK(forward_flops(plain, 18) - forward_flops(local, 18) ==
        doctest::Approx(2.0 * 2.0 * (171.0 - 80.0) * 24.0));
}

TEST_CASE("learned positions end with the context") {
  RunConfig config = tiny_config();
  config.model.position = "learned";
  Model model = make_model(config, vocabulary, at::kFloat);
  RunConfig longer = config;
  longer.model.context = 19;
  const Batch batch = make_batch(longer, vocabulary, 1, 2);
  const std::string error =
      error_of([&] { token_logits(model.decoder, model.bound(), batch.tokens, model.ropes); });
  CHECK(error.find("reach 18 tokens. Received a sequence of 19") != std::string::npos);
}

TEST_CASE("impossible shapes are refused in one line that names what to change") {
  const auto message = [](auto change) {
    RunConfig config = tiny_config();
    change(config);
    return error_of([&] { make_decoder(config, vocabulary); });
  };
  const auto holds = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(holds(message([](RunConfig& c) { c.model.head_dim = 7; }), "head_dim 7"));
  CHECK(holds(message([](RunConfig& c) { c.model.head_dim = 3; }), "even head_dim"));
  CHECK(holds(message([](RunConfig& c) { c.model.kv_heads = 3; }), "kv_heads"));
  CHECK(holds(message([](RunConfig& c) { c.model.mixer = "attentoin"; }), "mean attention?"));
  CHECK(holds(message([](RunConfig& c) { c.model.pattern = "mamba, attention"; }), "mean mamba2?"));
  CHECK(holds(message([](RunConfig& c) { c.model.pattern = "mamba2 x2, attention"; }),
              "multiple of the layers"));
  CHECK(holds(message([](RunConfig& c) { c.model.ffn = "swigul"; }), "mean swiglu?"));
  CHECK(holds(message([](RunConfig& c) { c.model.depth = 0; }), "Depth"));
  CHECK(holds(message([](RunConfig& c) { c.model.position = "cope", c.model.cope_positions = 1; }),
              "at least 2 positions"));
  CHECK(holds(message([](RunConfig& c) { c.model.windows = "local"; }), "need a window"));
  CHECK(holds(message([](RunConfig& c) { c.model.window = 4, c.model.position = "cope"; }),
              "model.window"));
  CHECK(holds(message([](RunConfig& c) { c.model.mixer = "slstm", c.model.heads = 3; }),
              "make up the width"));
}

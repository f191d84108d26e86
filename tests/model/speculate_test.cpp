#include "model/speculate.h"

#include "model/generate.h"
#include "support/models.h"

using namespace rung;
using namespace rung::test;

namespace {

// Every way in which a mixer keeps what it has read.
const std::vector<Variant> variants{
    {"attention", [](RunConfig&) {}},
    {"gqa, learned positions",
     [](RunConfig& c) {
       c.model.head_dim = 6, c.model.kv_heads = 2, c.model.position = "learned";
     }},
    {"offset keys", [](RunConfig& c) { c.model.key_offset = true; }},
    {"windows", [](RunConfig& c) { c.model.window = 5, c.model.windows = "local, global"; }},
    {"cope", [](RunConfig& c) { c.model.position = "cope"; }},
    {"mamba2", [](RunConfig& c) { c.model.mixer = "mamba2", c.model.ffn = "none"; }},
    {"mlstm", [](RunConfig& c) { c.model.mixer = "mlstm"; }},
    {"mlstm-large", [](RunConfig& c) { c.model.mixer = "mlstm-large"; }},
    {"slstm", [](RunConfig& c) { c.model.mixer = "slstm"; }},
    {"mlgru", [](RunConfig& c) { c.model.mixer = "mlgru"; }},
    {"hybrid, norms after, moe", [](RunConfig& c) {
       c.model.pattern = "mamba2, attention", c.model.norm_place = "after";
       c.model.ffn = "moe", c.model.moe_experts = 3;
     }}};

// Few tokens, so that untrained drafts are right now and then.
constexpr int64_t vocabulary = 3;

RunConfig config_of(const Variant& variant, int64_t context) {
  RunConfig config = tiny_config();
  config.model.depth = 4;
  config.model.mtp_heads = 3;
  config.model.context = context;
  variant.change(config);
  return config;
}

struct Outcome {
  std::vector<int32_t> tokens;
  int64_t passes = 0, drafted = 0, accepted = 0;
};

Outcome generate(const Model& model, bool speculate, size_t count, double temperature = 0.0) {
  const std::vector<Weight> bound = bind(model.decoder.layout, model.weights, Tensor());
  Generation g{.decoder = model.decoder, .weights = bound, .speculate = speculate};
  Outcome out{.tokens = {0, 2, 1, 1, 2}};
  Random random(5, "draws");
  const size_t wanted = out.tokens.size() + count;
  while (out.tokens.size() < wanted)
    extend(g, out.tokens, static_cast<int64_t>(wanted - out.tokens.size()),
           [&](std::span<const float> logits) {
             return sample_token(logits, {.temperature = temperature}, random);
           });
  CHECK(out.tokens.size() == wanted);
  out.passes = g.passes, out.drafted = g.drafted, out.accepted = g.accepted;
  return out;
}

// Greedy and drawn text with drafts is the text without, some drafts being right and some wrong.
void check_same(const Variant& variant, int64_t context, size_t count) {
  CAPTURE(variant.name);
  const Model model = make_model(config_of(variant, context), vocabulary, at::kDouble);
  for (const double temperature : {0.0, 1.0}) {
    CAPTURE(temperature);
    const Outcome plain = generate(model, false, count, temperature),
                  drafts = generate(model, true, count, temperature);
    CHECK(plain.tokens == drafts.tokens);
    CHECK(plain.passes == static_cast<int64_t>(count));
    CHECK(drafts.passes + drafts.accepted == static_cast<int64_t>(count));
    if (temperature > 0.0) CHECK((drafts.accepted > 0 && drafts.accepted < drafts.drafted));
  }
}

}  // namespace

TEST_CASE("text with drafts is the text without, for every mixer") {
  for (const Variant& variant : variants) check_same(variant, 64, 40);
}

TEST_SUITE("slow") {
  TEST_CASE("text with drafts is the text without over 1,000 tokens") {
    check_same(variants[0], 1100, 1000);
    check_same({"hybrid",
                [](RunConfig& c) {
                  c.model.pattern = "attention, mamba2, mlstm, attention";
                  c.model.head_dim = 6;
                }},
               1100, 1000);
  }
}

TEST_CASE("beyond the context attention goes on without drafts, and recurrent models with them") {
  const Model attention = make_model(config_of(variants[0], 18), vocabulary, at::kDouble);
  const Outcome plain = generate(attention, false, 40, 1.0),
                drafts = generate(attention, true, 40, 1.0);
  CHECK(plain.tokens == drafts.tokens);
  CHECK(drafts.passes >= 40 - 13);  // at most 13 tokens lie within
  check_same(variants[6], 18, 60);
}

TEST_CASE("texts made together are those made one by one, within the context and beyond") {
  for (const Variant& variant : variants) {
    CAPTURE(variant.name);
    const Model model = make_model(config_of(variant, 18), vocabulary, at::kDouble);
    const std::vector<Weight> bound = bind(model.decoder.layout, model.weights, Tensor());
    const auto draws = [](size_t i) { return Random(5 + i, "draws"); };
    std::vector<std::vector<int32_t>> together{{0, 2, 1}, {1, 1, 0}, {0, 2, 1}};
    std::vector<std::vector<int32_t>> alone = together;
    Generation g{.decoder = model.decoder, .weights = bound};
    std::vector<Random> random{draws(0), draws(1), draws(2)};
    while (together[0].size() < 30)
      extend_together(g, together, [&](size_t i, std::span<const float> logits) {
        return sample_token(logits, {}, random[i]);
      });
    for (size_t i = 0; i < alone.size(); ++i) {
      Generation own{.decoder = model.decoder, .weights = bound};
      Random source = draws(i);
      while (alone[i].size() < 30)
        extend(own, alone[i], 1,
               [&](std::span<const float> logits) { return sample_token(logits, {}, source); });
      CHECK(together[i] == alone[i]);
    }
    CHECK(together[0] != together[2]);
  }
}

TEST_CASE("a rewound cache is the cache that never saw the tokens") {
  for (const Variant& variant : variants) {
    CAPTURE(variant.name);
    const RunConfig config = config_of(variant, 32);
    const Model model = make_model(config, vocabulary, at::kDouble);
    const std::vector<Weight> bound = bind(model.decoder.layout, model.weights, Tensor());
    const Tensor tokens = ids({1, 1, 20}, vocabulary, 8);
    const auto read = [&](Cache& cache, int64_t start, int64_t count) {
      return token_logits(model.decoder, bound, tokens.narrow(2, start, count).contiguous(),
                          make_ropes(config.model, count, model.weights.options(), cache.time),
                          &cache);
    };
    Cache straight, back;
    read(straight, 0, 9);
    read(back, 0, 7);
    back.revertible = 4;
    read(back, 7, 6);  // two that stay, then four that go
    rewind(model.decoder, back, 4);
    back.revertible = 0;
    CHECK(back.time == 9);
    CHECK(distance(read(back, 13, 5), read(straight, 13, 5)) < 1e-12);
  }
}

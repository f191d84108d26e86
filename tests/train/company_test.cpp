// What multi-token prediction, ternary maps and formats promise of a population.
#include "support/populations.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig three_heads() {
  RunConfig config = tiny_config();
  config.model.depth = 4;
  config.model.mtp_heads = 3;
  return config;
}

RunConfig ternary() {
  RunConfig config = tiny_config();
  config.model.pattern = "mlgru, attention";
  config.model.linear = "bitnet";
  return config;
}

RunConfig quantised() {
  RunConfig config = tiny_config();
  config.formats = {.weight = "e4m3 tensor",
                    .activation = "int8 channel",
                    .gradient = "e5m2 stochastic",
                    .keep = "out"};
  config.train.recompute = 2;
  return config;
}

}  // namespace

TEST_CASE(
    "heads, ternary maps and formats learn the same bits alone, in company and on any threads") {
  const HeldOut held = ChainSource().held_out(18, 720);
  for (const auto& made : {three_heads, ternary, quantised}) {
    std::vector<RunConfig> configs;
    for (const uint64_t seed : {4, 5}) {
      configs.push_back(made());
      configs.back().seed = seed;
      configs.back().multipliers.alpha_loss = 0.5 + 0.25 * static_cast<double>(seed);
    }
    Population both = make_population(configs, 3);
    const double before = both.evaluate(held)[0].loss;
    advance(both, 30);
    const std::vector<Evaluation> together = both.evaluate(held);
    CHECK(together[0].loss < before - 0.3);
    for (size_t i = 0; i < configs.size(); ++i) {
      Population alone = make_population({configs[i]}, 1);
      advance(alone, 30);
      CHECK(same_bits(alone.weights[0], both.weights[static_cast<int64_t>(i)]));
      const Evaluation own = alone.evaluate(held)[0];
      CHECK(own.loss == together[i].loss);
      REQUIRE(own.statistics.size() == together[i].statistics.size());
      for (size_t k = 0; k < own.statistics.size(); ++k)
        CHECK(own.statistics[k].value == together[i].statistics[k].value);
    }
  }
}

TEST_CASE("the training loss is the next token's, whatever the heads do") {
  // With a rate of nearly nothing the loss of a step is that of the weights before it, which the
  // decoder without further heads has too.
  RunConfig heads = three_heads(), plain = tiny_config();
  heads.train.lr = plain.train.lr = 1e-12;
  Population a = make_population({heads}, 1), b = make_population({plain}, 1);
  advance(a, 1);
  advance(b, 1);
  CHECK(a.states[0].loss == b.states[0].loss);
  CHECK(a.states[0].gradient_norm > b.states[0].gradient_norm);
}

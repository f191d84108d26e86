#include "support/populations.h"

using namespace rung;
using namespace rung::test;

namespace {

// A mixture below a retrieval, auxiliary losses on.
RunConfig sparse_config(uint64_t seed = 1) {
  RunConfig config = tiny_config();
  config.seed = seed;
  config.model.ffn_pattern = "moe, peer";
  config.model.ffn_ratio = 1.0;
  config.model.moe_experts = 5;
  config.model.peer_experts = 36;
  config.model.peer_heads = 3;
  config.model.peer_top_k = 4;
  return config;
}

bool same_statistics(const Evaluation& a, const Evaluation& b) {
  bool same = a.statistics.size() == b.statistics.size();
  for (size_t i = 0; same && i < a.statistics.size(); ++i) {
    const Statistic &x = a.statistics[i], &y = b.statistics[i];
    same = x.layer == y.layer && x.name == y.name && x.value == y.value;
  }
  return same;
}

}  // namespace

TEST_CASE("mixtures and retrievals learn the same bits alone, in company and on any threads") {
  const HeldOut held = ChainSource().held_out(18, 1440);
  std::vector<RunConfig> configs;
  for (const uint64_t seed : {4, 5}) configs.push_back(sparse_config(seed));
  Population both = make_population(configs, 3);
  const double before = both.evaluate(held)[0].loss;
  advance(both, 40);
  const std::vector<Evaluation> together = both.evaluate(held);
  for (size_t i = 0; i < configs.size(); ++i) {
    Population alone = make_population({configs[i]}, 1);
    advance(alone, 40);
    CHECK(same_bits(alone.weights[0], both.weights[static_cast<int64_t>(i)]));
    const Evaluation own = alone.evaluate(held)[0];
    CHECK(own.loss == together[i].loss);
    CHECK(same_statistics(own, together[i]));
  }
  CHECK(together[0].loss < before - 0.5);
  CHECK_FALSE(same_statistics(together[0], together[1]));
}

TEST_CASE("what parts report goes by layer and says how evenly experts are used") {
  Population p = make_population({sparse_config()});
  const Evaluation e = p.evaluate(ChainSource().held_out(18, 1440))[0];
  std::vector<std::string> names;
  for (const Statistic& s : e.statistics) names.push_back(fmt::format("{}.{}", s.layer, s.name));
  CHECK(names == std::vector<std::string>{"0.experts_used", "0.experts_unevenness",
                                          "0.balance_loss", "0.z_loss", "1.experts_used",
                                          "1.experts_unevenness"});
  CHECK(e.statistics[0].value == 1.0);
  CHECK(e.statistics[2].value > 0.9);
  CHECK(e.statistics[4].value > 0.5);
  CHECK(make_population({tiny_config()})
            .evaluate(ChainSource().held_out(18, 360))[0]
            .statistics.empty());
}

TEST_CASE("a balance loss evens out the loads") {
  const HeldOut held = ChainSource().held_out(18, 1440);
  const auto unevenness = [&](double weight) {
    RunConfig config = sparse_config();
    config.model.ffn_pattern = "moe";
    config.model.moe_top_k = 1;
    config.model.moe_gates = "all";
    config.model.moe_balance = weight;
    config.model.moe_z = 0.0;
    Population p = make_population({config});
    advance(p, 80);
    const Evaluation e = p.evaluate(held)[0];
    double sum = 0.0;
    for (const Statistic& s : e.statistics)
      if (s.name == "experts_unevenness") sum += s.value;
    return sum;
  };
  const double without = unevenness(0.0), with = unevenness(1.0);
  CAPTURE(without);
  CAPTURE(with);
  CHECK(with < 0.5 * without);
}

TEST_CASE("matrix rules update each expert as a matrix of its own, and a run resumes to the bit") {
  for (const char* optimizer : {"adamw", "muon", "soap"}) {
    CAPTURE(optimizer);
    RunConfig config = sparse_config();
    config.train.optimizer = optimizer;
    check_resumes(config, 6, 14);
  }
}

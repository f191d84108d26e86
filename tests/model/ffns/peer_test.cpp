#include <cmath>

#include "scaling/count.h"
#include "support/models.h"
#include "support/parts.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

// The golden's shapes: width 6, 16 experts, 2 heads of 3, queries of 4, 2 sequences of 11.
TestPart golden_part(bool norm, at::ScalarType type) {
  ModelConfig m;
  m.width = 6;
  m.head_dim = 6;
  m.peer_experts = 16;
  m.peer_heads = 2;
  m.peer_top_k = 3;
  m.peer_key = 4;
  m.peer_norm = norm;
  m.peer_shared = norm ? 3 : 0;
  std::vector<Wave> waves{{"query", 0.73, 0.8, 0.0},
                          {"keys", 1.13, 1.2, 0.0},
                          {"up", 0.59, 0.7, 0.0},
                          {"down", 0.91, 0.9, 0.0}};
  if (norm) {
    waves.push_back({"shared.up", 0.47, 0.6, 0.0});
    waves.push_back({"shared.down", 0.31, 0.5, 0.0});
  }
  return {"peer", m, waves, type, ffns()};
}

RunConfig peer_config() {
  RunConfig config = tiny_config();  // width 24, depth 2
  config.model.ffn = "peer";
  config.model.peer_experts = 25;
  config.model.peer_heads = 3;
  config.model.peer_top_k = 2;
  config.model.peer_key = 10;
  return config;
}

}  // namespace

TEST_CASE("peer's output and gradients equal an independent search of all experts") {
  for (const bool norm : {false, true}) {
    CAPTURE(norm);
    const Json golden = read_golden("moe.json").at(norm ? "peer_norm" : "peer");
    check_part(golden_part(norm, at::kDouble), golden, 1e-11);
    check_part(golden_part(norm, at::kFloat), golden, 1e-5);
    const Tensor x = sines({1, 2, 11, 6}, 0.83, 1.4).to(at::kBFloat16);
    const Tensor want = golden_tensor(golden.at("out"), x);
    CHECK((golden_part(norm, at::kBFloat16).forward(x) - want).abs().mean().item<double>() <
          0.1 * want.abs().mean().item<double>());  // a close choice may fall otherwise
  }
}

TEST_CASE("peer reports how much of its experts it uses, and how evenly") {
  const Json golden = read_golden("moe.json").at("peer_norm");
  const TestPart part = golden_part(true, at::kDouble);
  Tally tally;
  part.forward(sines({1, 2, 11, 6}, 0.83, 1.4), nullptr, &tally);
  double total = 0.0, used = 0.0, divergence = 0.0;
  for (const Json& load : golden.at("load")) total += load.get<double>();
  CHECK(total == doctest::Approx(22.0 * 2.0));
  for (const Json& load : golden.at("load"))
    if (const double share = load.get<double>() / total; share > 0.0) {
      used += 1.0 / 16.0;
      divergence += share * std::log(16.0 * share);
    }
  const std::vector<Statistic> statistics = tally.statistics(0);
  REQUIRE(statistics.size() == 2);
  CHECK(statistics[0].name == "experts_used");
  CHECK(statistics[0].value == doctest::Approx(used));
  CHECK(statistics[1].name == "experts_unevenness");
  CHECK(statistics[1].value == doctest::Approx(divergence).epsilon(1e-5));
}

TEST_CASE("peer's tensors, parameters and FLOPs: those of the experts that a token has, exactly") {
  RunConfig config = peer_config();
  config.model.peer_shared = 4;
  const Decoder d = make_decoder(config, 11);
  const int64_t attention = 24 * 72 + 24 * 24, query = 24 * 3 * 10, keys = 2 * 5 * 5;
  const int64_t shared = 2 * 4 * 24, active = 2 * 3 * 2 * 24;
  const Counts counts = count(d.layout.tensors);
  CHECK(counts.N == 2 * (attention + query + keys + active + shared) + 24 * 11);
  CHECK(counts.N_total == 2 * (attention + query + keys + 2 * 25 * 24 + shared) + 2 * 24 * 11);
  const double scores = 2.0 * attention_flops_per_token(18, 4, 6);
  const double more_heads = 2.0 * 2.0 * 2.0 * static_cast<double>(keys);  // of both layers
  CHECK(forward_flops(d, 18) ==
        doctest::Approx(18.0 * (2.0 * static_cast<double>(counts.N) + scores + more_heads)));
}

TEST_CASE("peer starts with keys and experts of unit size, and roles for what does not grow") {
  RunConfig config = peer_config();
  config.parametrisation = "mup";
  config.model.peer_experts = 2500;
  const auto values = started(config);
  const auto size = [&](const char* name) {
    return values.at("blocks.0.ffn." + std::string(name)).square().mean().item<double>();
  };
  CHECK(size("down") == doctest::Approx(1.0).epsilon(0.05));
  CHECK(size("keys") == doctest::Approx(1.0).epsilon(0.25));
  const auto factors_of = [&](int64_t width) {
    config.base_width = 32;
    config.model.width = width;
    config.model.peer_experts = 25;
    return factors_by_name(config);
  };
  const auto base = factors_of(32), wide = factors_of(128);
  const auto ratio = [&](const char* name, double Factors::*factor) {
    const std::string full = "blocks.0.ffn." + std::string(name);
    return wide.at(full).*factor / (base.at(full).*factor);
  };
  CHECK(ratio("query", &Factors::C) == doctest::Approx(0.25));  // hidden: normalised
  CHECK(ratio("up", &Factors::A) == doctest::Approx(0.25));     // many in, few out
  CHECK(ratio("up", &Factors::C) == doctest::Approx(1.0));
  CHECK(ratio("keys", &Factors::C) == doctest::Approx(1.0));
  CHECK(ratio("down", &Factors::C) == doctest::Approx(1.0));
  config.model.peer_norm = false;
  const auto bare = factors_of(128);
  CHECK(bare.at("blocks.0.ffn.query").A == doctest::Approx(wide.at("blocks.0.ffn.up").A));
}

TEST_CASE("peer names what it cannot be") {
  const auto message = [](auto change) {
    RunConfig config = peer_config();
    change(config);
    return error_of([&] { make_decoder(config, 11); });
  };
  CHECK(message([](RunConfig& c) { c.model.peer_experts = 26; }).find("such as 25. Received 26") !=
        std::string::npos);
  CHECK(message([](RunConfig& c) { c.model.peer_top_k = 6; }).find("the 5 sub-keys") !=
        std::string::npos);
  CHECK(message([](RunConfig& c) { c.model.peer_key = 5; }).find("must be even") !=
        std::string::npos);
}

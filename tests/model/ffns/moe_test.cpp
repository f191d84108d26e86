#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>

#include "model/ffns/moe_models.h"
#include "scaling/count.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

// The golden's shapes: width 6, 4 experts of 5 hidden units, 2 sequences of 11.
ModelConfig golden_model(bool is_switch) {
  ModelConfig m;
  m.width = 6;
  m.head_dim = 6;
  m.ffn_ratio = 5.0 / 6.0;
  m.moe_experts = 4;
  m.moe_top_k = is_switch ? 1 : 2;
  m.moe_gates = is_switch ? "all" : "chosen";
  m.moe_shared = is_switch ? 1 : 0;
  m.moe_balance = 0.5;
  m.moe_z = 0.25;
  return m;
}

TestPart golden_part(bool is_switch, at::ScalarType type) {
  const ModelConfig m = golden_model(is_switch);
  std::vector<Wave> waves{{"router", 0.77, 0.9, 0.0}};
  for (int e = 0; e < 4; ++e) {
    waves.push_back({fmt::format("experts.{}.gate_up", e), 0.71 + 0.1 * e, 0.6, 0.0});
    waves.push_back({fmt::format("experts.{}.down", e), 0.53 + 0.1 * e, 0.7, 0.0});
  }
  if (is_switch) {
    waves.push_back({"shared.gate_up", 0.43, 0.6, 0.0});
    waves.push_back({"shared.down", 0.39, 0.7, 0.0});
  }
  TestPart part("moe", m, waves, type, ffns());
  part.loss_factor = 2.0;
  return part;
}

}  // namespace

TEST_CASE(
    "moe's output and gradients equal an independent implementation, auxiliary losses included") {
  for (const bool is_switch : {false, true}) {
    CAPTURE(is_switch);
    const Json golden = read_golden("moe.json").at(is_switch ? "switch" : "mixtral");
    check_part(golden_part(is_switch, at::kDouble), golden, 1e-11);
    check_part(golden_part(is_switch, at::kFloat), golden, 1e-5);
    const TestPart half = golden_part(is_switch, at::kBFloat16);
    const Tensor x = sines({1, 2, 11, 6}, 0.83, 1.4).to(at::kBFloat16);
    const Tensor want = golden_tensor(golden.at("out"), x);
    CHECK((half.forward(x) - want).abs().mean().item<double>() <
          0.02 * want.abs().mean().item<double>());
  }
}

TEST_CASE("moe reports its losses and loads where it is asked, and changes nothing by it") {
  for (const bool is_switch : {false, true}) {
    const Json golden = read_golden("moe.json").at(is_switch ? "switch" : "mixtral");
    const TestPart part = golden_part(is_switch, at::kDouble);
    const Tensor x = sines({1, 2, 11, 6}, 0.83, 1.4);
    Tally tally;
    CHECK(same_bits(part.forward(x, nullptr, &tally), part.forward(x)));
    const auto only = [&](const char* name) { return golden.at(name)[0].get<double>(); };
    CHECK(statistic(tally, "balance_loss") == doctest::Approx(only("balance")).epsilon(1e-6));
    CHECK(statistic(tally, "z_loss") == doctest::Approx(only("z")).epsilon(1e-6));
    double total = 0.0, used = 0.0, divergence = 0.0;
    for (const Json& load : golden.at("load")) total += load.get<double>();
    for (const Json& load : golden.at("load"))
      if (const double share = load.get<double>() / total; share > 0.0) {
        used += 0.25;
        divergence += share * std::log(4.0 * share);
      }
    CHECK(statistic(tally, "experts_used") == doctest::Approx(used));
    CHECK(statistic(tally, "experts_unevenness") == doctest::Approx(divergence));
  }
}

TEST_CASE("routing without dropping is every expert on every token, weighted by the gates") {
  for (const int64_t k : {1, 3, 5})
    for (const char* gates : {"chosen", "all"}) {
      CAPTURE(k);
      CAPTURE(gates);
      ModelConfig m = moe_config().model;
      m.moe_top_k = k;
      m.moe_gates = gates;
      const int64_t members = 2, inner = ffn_width_of(m);
      std::vector<Weight> w;
      for (const TensorSpec& spec : find_part(ffns(), "ffn", "moe").describe(m)) {
        std::vector<int64_t> shape{members};
        shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
        w.push_back({.value = normal(shape, w.size()) * 0.3});
      }
      const Tensor x = normal({members, 3, 7, m.width}, 99);
      const BlockFactors block;
      const Tensor y = find_part(ffns(), "ffn", "moe")
                           .forward(w, x, {.model = m, .block = block, .rope = Rope{}});
      for (int64_t p = 0; p < members; ++p) {
        const auto matrix = [&](size_t i) { return w[i].value.select(0, p); };
        const Tensor rows = x.select(0, p), scores = rows.matmul(matrix(0).t());
        const Tensor kept = scores.ge(std::get<0>(scores.topk(k)).narrow(-1, k - 1, 1));
        Tensor share = at::softmax(scores, -1) * kept;
        if (std::string(gates) == "chosen") share = share / share.sum(-1, true);
        Tensor want = at::zeros_like(rows);
        for (int64_t e = 0; e < m.moe_experts; ++e) {
          const auto at = static_cast<size_t>(1 + e);
          const Tensor both = rows.matmul(matrix(at).t());
          const Tensor hidden = at::silu(both.narrow(-1, 0, inner)) * both.narrow(-1, inner, inner);
          want += share.narrow(-1, e, 1) *
                  hidden.matmul(matrix(at + static_cast<size_t>(m.moe_experts)).t());
        }
        CHECK(distance(y.select(0, p), want) < 1e-13);
      }
    }
}

TEST_CASE("members of a mixture are what they are alone") {
  const RunConfig config = moe_config();
  Model three = make_model(config, 11, at::kDouble, 3);
  const Batch batch = make_batch(config, 11, 3, 2);
  const Tensor losses = loss_and_gradient(three, batch);
  for (int64_t p = 0; p < 3; ++p) {
    RunConfig own = config;
    own.seed += static_cast<uint64_t>(p);
    Model alone = make_model(own, 11, at::kDouble);
    const Batch part{batch.tokens.narrow(0, p, 1).contiguous(),
                     batch.targets.narrow(0, p, 1).contiguous()};
    CHECK(distance(losses.narrow(0, p, 1), loss_and_gradient(alone, part)) < 1e-12);
    CHECK(distance(three.gradient.narrow(0, p, 1), alone.gradient) < 1e-12);
  }
}

TEST_CASE("moe's tensors, parameters and FLOPs: those of the experts that a token has, exactly") {
  RunConfig config = tiny_config();  // width 24, depth 2
  config.model.ffn = "moe";
  config.model.moe_ratio = 7.0 / 24.0;
  config.model.moe_experts = 7;  // 2 of 7: no expert's share is a whole number
  config.model.moe_shared = 2;
  const Decoder d = make_decoder(config, 11);
  const int64_t attention = 24 * 72 + 24 * 24, expert = 3 * 7 * 24;
  const Counts counts = count(d.layout.tensors);
  const int64_t active = attention + 7 * 24 + (2 + 2) * expert;
  CHECK(counts.N == 2 * active + 24 * 11);
  CHECK(counts.N_active == counts.N);
  CHECK(counts.N_total == 2 * (attention + 7 * 24 + (7 + 2) * expert) + 2 * 24 * 11);
  const double scores = 2.0 * attention_flops_per_token(18, 4, 6);
  CHECK(forward_flops(d, 18) ==
        doctest::Approx(18.0 * (2.0 * static_cast<double>(counts.N) + scores)));
  CHECK(forward_flops_per_token(d.layout.tensors, scores) ==
        doctest::Approx(forward_flops(d, 18) / 18.0));
}

TEST_CASE("moe's roles: the router ends in a fixed number, experts grow with the width") {
  const auto factors_of = [](int64_t width) {
    RunConfig config = moe_config();
    config.parametrisation = "mup";
    config.base_width = 32;
    config.model.width = width;
    return factors_by_name(config);
  };
  const auto base = factors_of(32), wide = factors_of(128);
  const auto ratio = [&](const char* name, double Factors::*factor) {
    const std::string full = "blocks.0.ffn." + std::string(name);
    return wide.at(full).*factor / (base.at(full).*factor);
  };
  CHECK(ratio("router", &Factors::A) == doctest::Approx(0.25));
  CHECK(ratio("router", &Factors::C) == doctest::Approx(1.0));
  CHECK(ratio("experts.3.gate_up", &Factors::A) == doctest::Approx(1.0));
  CHECK(ratio("experts.3.gate_up", &Factors::C) == doctest::Approx(0.25));
  CHECK(ratio("experts.4.down", &Factors::C) == doctest::Approx(0.25));
}

TEST_CASE("moe names what it cannot be") {
  const auto message = [](auto change) {
    RunConfig config = moe_config();
    change(config);
    return error_of([&] { make_decoder(config, 11); });
  };
  CHECK(message([](RunConfig& c) { c.model.moe_top_k = 6; }).find("the 5 experts. Received 6") !=
        std::string::npos);
  CHECK(message([](RunConfig& c) {
          c.model.moe_ratio = 0.01;
        }).find("no hidden unit at width 24") != std::string::npos);
}

#include "../specs.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig config_of(int64_t batch, int64_t tokens, int64_t width = 64, int64_t depth = 4) {
  RunConfig config;
  config.model.width = width;
  config.model.depth = depth;
  config.base_batch_tokens = 2048;
  config.base_tokens = 1'000'000;
  config.train.batch_tokens = batch;
  config.train.tokens = tokens;
  return config;
}

}  // namespace

TEST_CASE("completedp follows batch and tokens: LR r^1/2, decay r, epsilon r^-1/2, 1 - beta r") {
  for (const int64_t batch : {512, 2048, 8192, 32768, 131072})
    for (const int64_t tokens : {250'000, 1'000'000, 16'000'000}) {
      const double r = (static_cast<double>(batch) / 2048.0) / (static_cast<double>(tokens) / 1e6);
      const RunConfig config = config_of(batch, tokens, 256, 16);  // m = 4, m_L = 4
      const Dims d = dims_of(config, 256);
      const auto check_scaled = [&](Role role, int64_t in, int layer, double B, double C,
                                    double e) {
        const Factors f = factors("completedp", spec(role, in, 256, layer), d);
        CHECK(f.A == 1.0);
        CHECK(f.B == doctest::Approx(B));
        CHECK(f.C == doctest::Approx(C * std::sqrt(r)));
        CHECK(f.decay == doctest::Approx(r));
        CHECK(f.epsilon == doctest::Approx(e / std::sqrt(r)));
      };
      check_scaled(Role::embedding, 1, -1, 1, 1, 0.25);
      check_scaled(Role::hidden, 256, 0, 1.0 / 16, 0.25, 1.0 / 16);
      check_scaled(Role::gain, 1, 0, 0, 1, 1.0 / 16);
      check_scaled(Role::readout, 256, -1, 1.0 / 32, 0.25, 1);  // base 1/8, / m
      const BlockFactors b = block("completedp", config);
      CHECK(b.beta == doctest::Approx(r));
      CHECK(b.residual[0].branch == doctest::Approx(0.25));
    }
}

TEST_CASE("completedp without a base run has no batch or token factor; other updates are refused") {
  RunConfig config = config_of(8192, 3'000'000);
  config.base_batch_tokens = config.base_tokens = 0;
  CHECK(block("completedp", config).beta == 1.0);
  check(factors("completedp", spec(Role::hidden, 64, 64, 0), dims_of(config, 256)), 1, 0.125, 1);
  const auto refusal = [&](auto change) {
    RunConfig other = config;
    change(other);
    return error_of(
        [&] { factors("completedp", spec(Role::hidden, 64, 64, 0), dims_of(other, 256)); });
  };
  CHECK(refusal([](RunConfig& c) { c.train.optimizer = "sgd"; }).find("Adam") != std::string::npos);
  CHECK(refusal([](RunConfig& c) { c.train.decay_rule = "coupled"; }).find("decay_rule") !=
        std::string::npos);
}

#include "specs.h"

using namespace rung;
using namespace rung::test;

namespace {

Factors with(const char* rule, Role role, auto change) {
  RunConfig config;
  config.model.width = 256;  // m = 4
  change(config);
  const int64_t in = role == Role::embedding || role == Role::gain ? 1 : 256;
  return factors(rule, spec(role, in, 256, role == Role::hidden ? 0 : -1), dims_of(config, 256));
}

}  // namespace

TEST_CASE(
    "decay rules: independent 1, coupled C, width hidden / m, timescale 1 with steps in the run") {
  const auto rule = [](const char* name) {
    return [name](RunConfig& c) { c.train.decay_rule = name; };
  };
  CHECK(with("mup", Role::hidden, rule("independent")).decay == 1.0);
  CHECK(with("mup", Role::hidden, rule("coupled")).decay == doctest::Approx(0.25));
  CHECK(with("umup", Role::embedding, rule("coupled")).decay == doctest::Approx(1.0 / 16));
  CHECK(with("mup", Role::hidden, rule("width")).decay == doctest::Approx(0.25));
  CHECK(with("mup", Role::embedding, rule("width")).decay == 1.0);
  CHECK(with("mup", Role::readout, rule("width")).decay == 1.0);
  CHECK(with("mup", Role::hidden, rule("timescale")).decay == 1.0);
  TrainConfig train;
  train.lr = 0.02;
  train.weight_decay = 0.1;
  train.batch_tokens = 2000;
  train.tokens = 1'000'000;  // 500 steps
  CHECK(peak_decay(train) == doctest::Approx(0.1));
  train.decay_rule = "coupled";
  CHECK(peak_decay(train) == doctest::Approx(0.002));
  train.decay_rule = "timescale";
  train.weight_decay = 5.0;  // averages over a fifth of the run: 100 steps
  CHECK(peak_decay(train) == doctest::Approx(0.01));
}

TEST_CASE("a tensor that does not decay has no decay under any rule of decay") {
  for (const Parametrisation& rule : parametrisations())
    for (const char* decay : {"independent", "coupled", "width", "timescale"}) {
      if (rule.name == "completedp" && decay[0] != 'i' && decay[0] != 'w') continue;
      RunConfig config;
      config.train.decay_rule = decay;
      TensorSpec tensor = spec(Role::channel, 1, 256, 0);
      CHECK(factors(rule.name, tensor, dims_of(config, 256)).decay > 0.0);
      tensor.decays = false;
      CHECK(factors(rule.name, tensor, dims_of(config, 256)).decay == 0.0);
    }
}

TEST_CASE("weights of a channel follow gains: nothing about them grows with the width") {
  for (const Parametrisation& rule : parametrisations()) {
    if (rule.name == "umup") continue;  // an embedding's LR: parametrisation_test.cpp
    const Factors channel = factors(rule.name, spec(Role::channel, 4, 512, 0), dims(256));
    check_same(channel, factors(rule.name, spec(Role::gain, 1, 512, 0), dims(256)));
  }
}

TEST_CASE("constants by role multiply the LR and nothing else") {
  const auto tuned = [](RunConfig& c) {
    c.train.lr_embedding = 3.0;
    c.train.lr_hidden = 5.0;
    c.train.lr_readout = 7.0;
  };
  const auto plain = [](RunConfig&) {};
  const std::pair<Role, double> wants[] = {
      {Role::embedding, 3.0}, {Role::gain, 3.0},   {Role::tied, 3.0},   {Role::channel, 3.0},
      {Role::hidden, 5.0},    {Role::router, 5.0}, {Role::readout, 7.0}};
  for (const Parametrisation& rule : parametrisations())
    for (const auto& [role, want] : wants) {
      Factors got = with(rule.name.data(), role, tuned);
      const Factors base = with(rule.name.data(), role, plain);
      CHECK(got.C / base.C == doctest::Approx(want));
      got.C = base.C;
      check_same(got, base);
    }
}

TEST_CASE("epsilon follows the gradient, or is one number for all") {
  const auto constant = [](RunConfig& c) { c.train.epsilon_rule = "constant"; };
  CHECK(with("mup", Role::hidden, [](RunConfig&) {}).epsilon == doctest::Approx(0.25));
  for (const Parametrisation& rule : parametrisations())
    CHECK(with(rule.name.data(), Role::hidden, constant).epsilon == 1.0);
}

TEST_CASE("an optimizer that is not known is refused, with the known ones") {
  const std::string error = error_of([] { dims(64, 4, "momentumless"); });
  CHECK(error.find("momentumless") != std::string::npos);
  CHECK(error.find("adam-atan2") != std::string::npos);
  CHECK(update_of("adafactor") == Update::parameter_scaled);
  CHECK(update_of("muon") == Update::matrix);
}

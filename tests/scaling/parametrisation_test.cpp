#include "scaling/parametrisation.h"

#include <map>

#include "scaling/unit_scaling.h"
#include "specs.h"
#include "support/golden_json.h"

using namespace rung;
using namespace rung::test;

namespace {

std::vector<TensorSpec> tensors(int64_t width) {
  return {spec(Role::embedding, 1, width),
          spec(Role::hidden, width, 3 * width, 0),
          spec(Role::hidden, 3 * width, width, 1),
          spec(Role::readout, width, 256),
          spec(Role::tied, width, 256),
          spec(Role::gain, 1, width, 0),
          spec(Role::bias, 1, width)};
}

}  // namespace

TEST_CASE("the table names each rule once, and unknown names are answered by the nearest") {
  CHECK(parametrisations().size() == 14);
  for (const Parametrisation& p : parametrisations()) {
    CHECK(&find_parametrisation(p.name) == &p);
    CHECK_FALSE(p.summary.empty());
  }
  CHECK(error_of([] { find_parametrisation("umpu"); }).find("Did you mean umup?") !=
        std::string::npos);
  CHECK(error_of([] { factors("mup", tensors(64)[0], dims(64), "half"); }).find("half") !=
        std::string::npos);
}

TEST_CASE("at the base shape mup and completep are the standard rule") {
  RunConfig config;  // width 64 = base width, depth 4 = base depth
  const Dims base = dims(64);
  for (const TensorSpec& tensor : tensors(64))
    for (const char* align : {"full", "none", "global"}) {
      CAPTURE(tensor.name);
      check_same(factors("mup", tensor, base, align), factors("standard", tensor, base, align));
      if (align == std::string("full"))
        check_same(factors("completep", tensor, base), factors("standard", tensor, base, "full"));
    }
  const BlockFactors mup = find_parametrisation("mup").block(config, base);
  const BlockFactors standard = find_parametrisation("standard").block(config, base);
  CHECK(mup.attention_logit == doctest::Approx(standard.attention_logit));
  CHECK(standard.attention_logit == doctest::Approx(0.25));  // heads of 16
  CHECK(mup.residual.size() == 8);
  CHECK(mup.residual[3].branch == doctest::Approx(1.0));
}

TEST_CASE("hand-derived values of width 256 = 4 x base, and of depth 16 = 4 x base") {
  const Dims d = dims(256);
  const auto all = tensors(256);
  check(factors("standard", all[0], d), 1, 1, 1);
  check(factors("standard", all[1], d), 1, 1.0 / 16, 1);
  check(factors("standard", all[1], d, "full"), 1, 1.0 / 16, 0.25, 0.5);
  check(factors("standard", all[3], d, "none"), 1, 1.0 / 16, 0.5, 1.0);
  check(factors("standard", all[5], d), 1, 0, 1);
  check(factors("mup", all[0], d), 1, 1, 1, 0.25);
  check(factors("mup", all[2], d), 1, 1.0 / std::sqrt(768.0), 0.25, 0.25);
  check(factors("mup", all[1], d, "none"), 1, 1.0 / 16, 0.5, 0.25);
  check(factors("mup", all[3], d), 0.25, 1.0 / 8, 1, 0.25);
  check(factors("mup", all[3], d, "none"), 0.25, 1.0 / 8, 2, 0.25);
  check(factors("mup", all[1], d, "global"), 1, 1.0 / 16, 1, 0.25);
  check(factors("completep", all[1], dims(256, 16)), 1, 1.0 / 16, 0.25, 1.0 / 16);
  check(factors("completep", all[3], dims(256, 16)), 0.25, 1.0 / 8, 1, 0.25);
  RunConfig config;
  config.model.width = 256;
  config.model.depth = 16;
  const Dims deep = dims_of(config, 256);
  // Heads of width / 4 = 64 against 16 at the base: sqrt(16) / 64.
  CHECK(find_parametrisation("mup").block(config, deep).attention_logit ==
        doctest::Approx(1.0 / 16));
  CHECK(find_parametrisation("completep").block(config, deep).residual[0].branch ==
        doctest::Approx(0.25));
  // Heads of 64 at every width: mup's README convention, 8 / d, is then 1 / sqrt(d).
  config.model.head_dim = 64;
  CHECK(find_parametrisation("mup").block(config, dims_of(config, 256)).attention_logit ==
        doctest::Approx(0.125));
}

TEST_CASE("umup's learning-rate factors are the unit-scaling package's") {
  const std::map<std::string, Role> roles{{"weight", Role::hidden},
                                          {"output", Role::readout},
                                          {"norm", Role::gain},
                                          {"bias", Role::bias}};
  const Json golden = read_golden("unit_scaling.json");
  for (const Json& row : golden["rates"]) {
    CAPTURE(row.dump());
    const int64_t depth = row["depth"], out = row["shape"][0],
                  in = row["shape"].size() > 1 ? row["shape"][1].get<int64_t>() : 1;
    // A weight outside the blocks is an embedding, whose fan-in is the width there.
    const bool embedding = row["kind"] == "weight" && depth == 0;
    const TensorSpec tensor = embedding ? spec(Role::embedding, 1, in)
                                        : spec(roles.at(row["kind"]), in, out, depth ? 0 : -1);
    CHECK(factors("umup", tensor, dims(64, depth ? depth : 4)).C ==
          doctest::Approx(row["adam"].get<double>()).epsilon(1e-12));
  }
}

TEST_CASE("umup splits forward and backward factors") {
  const Dims d = dims(64);  // batch of 2048 tokens, vocabulary 256
  const double rows = 1.0 / std::sqrt(2048.0);
  const Factors embedding = factors("umup", spec(Role::embedding, 1, 64), d);
  check(embedding, 1, 1, 0.125);
  CHECK(embedding.A_weight == doctest::Approx(std::sqrt(256.0 / 2048.0)));
  const Factors hidden = factors("umup", spec(Role::hidden, 64, 192, 0), d);
  check(hidden, 0.125, 1, 0.125 / 2);
  CHECK(hidden.A_input == doctest::Approx(0.125));
  CHECK(hidden.A_weight == doctest::Approx(rows));
  const Factors readout = factors("umup", spec(Role::readout, 64, 256), d);
  check(readout, 1.0 / 64, 1, 1);
  CHECK(readout.A_input == doctest::Approx(1.0 / 16));
  const Factors router = factors("umup", spec(Role::router, 64, 8, 1), d);
  CHECK(router.A_input == router.A);  // its input has other paths
  CHECK(readout.A_weight == doctest::Approx(rows));
  const Factors gain = factors("umup", spec(Role::gain, 1, 64, 3), d);
  check(gain, 1, 0, 0.5);
  CHECK(gain.A_weight == doctest::Approx(rows));
  const Factors channel = factors("umup", spec(Role::channel, 4, 128, 3), d);
  check(channel, 1, 0, 0.125 / 2);
  CHECK(channel.A_weight == doctest::Approx(rows));
  const Factors tied = factors("umup", spec(Role::tied, 64, 256), d);
  CHECK(tied.A_input == tied.A);
  CHECK(tied.A_weight == tied.A);
  CHECK_THROWS(factors("umup", spec(Role::gain, 1, 64), d, "none"));
}

TEST_CASE("the constraint ties factors of hidden maps under umup and unit-scaling, and no others") {
  RunConfig config;
  for (const char* rule : {"umup", "unit-scaling"}) {
    const auto factors_at = [&](const char* constraint, Role role, int64_t in, int64_t out) {
      config.constraint = constraint;
      return factors(rule, spec(role, in, out, role == Role::hidden ? 0 : -1),
                     dims_of(config, 256));
    };
    const Factors mean = factors_at("gmean", Role::hidden, 64, 1024);
    CHECK(mean.A == doctest::Approx(1.0 / 16));  // (64 1024)^-1/4
    CHECK(mean.A_input == mean.A);
    CHECK(factors_at("to_grad_input_scale", Role::hidden, 64, 1024).A == doctest::Approx(1.0 / 32));
    CHECK(factors_at("hmean", Role::hidden, 64, 1024).A == doctest::Approx(1.0 / 20));
    CHECK(factors_at("amean", Role::hidden, 64, 1024).A == doctest::Approx(5.0 / 64));
    CHECK(mean.C == factors_at("to_output_scale", Role::hidden, 64, 1024).C);
    check_same(factors_at("gmean", Role::readout, 64, 256),
               factors_at("to_output_scale", Role::readout, 64, 256));
  }
  const Dims gmean = dims_of(config, 256);
  check_same(factors("mup", spec(Role::hidden, 64, 1024, 0), gmean),
             factors("mup", spec(Role::hidden, 64, 1024, 0), dims(64)));
}

TEST_CASE("unit-scaling grows as the standard rule, with one rate or at full alignment") {
  // What a unit-scaled weight's map does: output A B sqrt(in) = 1, effect of a step A C in.
  for (const int64_t width : {64, 128, 256, 1024, 4096}) {
    const double w = static_cast<double>(width);
    const Dims d = dims(width, 7);
    for (const TensorSpec& map :
         {spec(Role::hidden, width, 3 * width, 0), spec(Role::readout, width, 256)}) {
      const Factors one = factors("unit-scaling", map, d),
                    full = factors("unit-scaling", map, d, "full"),
                    none = factors("unit-scaling", map, d, "none");
      check(one, 1 / std::sqrt(w), 1, 1);
      check_same(none, one);
      check(full, 1 / std::sqrt(w), 1, 1 / std::sqrt(w));
      // The standard rule in another form, but for a constant that its base shape sets.
      const Factors standard = factors("standard", map, d, "full");
      CHECK(full.A * full.B == doctest::Approx(standard.A * standard.B));
      CHECK(full.A * full.C == doctest::Approx(standard.A * standard.C / 64.0));
    }
    const BlockFactors b = block("unit-scaling", [&] {
      RunConfig config;
      config.model.width = width;
      return config;
    }());
    CHECK(b.attention_logit == doctest::Approx(2.0 / std::sqrt(w)));  // heads of width / 4
  }
}

TEST_CASE("umup's block factors") {
  RunConfig config;
  config.multipliers.alpha_loss = 0.5;
  config.multipliers.alpha_attn = 4;
  const Dims d = dims_of(config, 256);
  const BlockFactors b = find_parametrisation("umup").block(config, d);
  CHECK(b.attention_logit == doctest::Approx(4.0 / 16));
  CHECK(b.attention_output.forward == doctest::Approx(attention_factor(4, 16, 128, true)));
  CHECK(b.ffn.at(3).activation.forward == doctest::Approx(1.68179).epsilon(1e-5));
  CHECK(b.loss_logit == 0.5);
  CHECK(b.loss_gradient == doctest::Approx(2048 * 16.03134 / 0.5).epsilon(1e-5));
  CHECK(b.residual.size() == 8);
  CHECK(b.residual[0].branch / b.residual[0].skip == doctest::Approx(0.5));
}

TEST_CASE("zero initialisation asked for by the architecture is kept by every rule") {
  TensorSpec zero = spec(Role::readout, 64, 256);
  zero.init_std_factor = 0.0;
  for (const Parametrisation& p : parametrisations()) CHECK(p.factors(zero, dims(64), "").B == 0.0);
}

TEST_CASE("equivalence classes: shifts by t stay inside, anything else leaves") {
  for (const Parametrisation& p : parametrisations())
    for (const TensorSpec& tensor : tensors(256)) {
      const Factors f = p.factors(tensor, dims(256), "");
      for (const double t : {0.01, 1.0, 3.0, 128.0}) CHECK(equivalent(f, shifted(f, t)));
      Factors other = f;
      other.C *= 1.001;
      CHECK_FALSE(equivalent(f, other));
      other = f;
      other.A *= 1.001;
      CHECK_FALSE(equivalent(f, other));
    }
  // Everett's muP triple at m = 4 is this program's form: readout A, B, C = m^-1/2 each, B on top
  // of base.
  Factors everett;
  everett.A = 0.5;
  everett.B = 0.5 / 8;
  everett.C = 0.5;
  CHECK(equivalent(everett, factors("mup", spec(Role::readout, 256, 256), dims(256))));
  // umup and mup grow alike with the width: the same class up to a constant that base shape fixes.
  const auto class_of = [](const char* name, int64_t width) {
    const Factors f = factors(name, spec(Role::hidden, width, width, 0), dims(width));
    return std::pair(f.A * f.B, f.A * f.C);
  };
  const auto [mup_init, mup_rate] = class_of("mup", 64);
  const auto [umup_init, umup_rate] = class_of("umup", 64);
  for (const int64_t width : {128, 512, 4096}) {
    CHECK(class_of("mup", width).first / mup_init ==
          doctest::Approx(class_of("umup", width).first / umup_init));
    CHECK(class_of("mup", width).second / mup_rate ==
          doctest::Approx(class_of("umup", width).second / umup_rate));
  }
}

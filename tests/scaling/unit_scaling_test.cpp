#include "scaling/unit_scaling.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "core/random.h"
#include "scaling/constraint.h"
#include "support/golden_json.h"

using namespace rung;

namespace {

// Deviation (about zero or the mean) of f over n standard normal pairs.
template <class F>
double deviation(F&& f, bool centred) {
  Random random(7, "unit");
  double sum = 0.0, squares = 0.0;
  constexpr int n = 200'000;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    const double g = random.normal();
    const double y = f(x, g);
    sum += y;
    squares += y * y;
  }
  return std::sqrt(squares / n - (centred ? sum * sum / n / n : 0.0));
}

double phi(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0));
}
double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

}  // namespace

// Values of the unit-scaling package, by tests/golden/make_unit_scaling_golden.py.
TEST_CASE("unit-scaling factors are the reference's to 1e-12") {
  const Json golden = test::read_golden("unit_scaling.json");
  const auto same = [](double value, const Json& wanted) {
    CHECK(value == doctest::Approx(wanted.get<double>()).epsilon(1e-12));
  };
  const auto both = [&](OpFactor factor, const Json& row) {
    CAPTURE(row.dump());
    same(factor.forward, row["forward"][0]);
    for (const Json& wanted : row["backward"]) same(factor.backward, wanted);
  };
  for (const Json& row : golden["gelu"]) both(gelu_factor(row["m"]), row);
  for (const Json& row : golden["silu"]) both(silu_factor(row["m"]), row);
  for (const Json& row : golden["silu_glu"]) both(silu_glu_factor(row["m"]), row);
  for (const Json& row : golden["softmax"]) both(softmax_factor(row["m"], row["n"]), row);
  for (const Json& row : golden["attention"]) {
    const double factor =
        attention_factor(row["m"], row["d"], row["sequence"], row["causal"], row["dropout"]);
    both({factor, factor}, row);
  }
  for (const Json& row : golden["cross_entropy"])
    same(cross_entropy_factor(row["vocabulary"]), row["backward"][0]);
  for (const Json& row : golden["linear"]) {
    const MatmulFactor factor = matmul_factor(row["in"], row["out"], row["rows"]);
    same(factor.output, row["forward"][0]);
    same(factor.input_gradient, row["backward"][0]);
    same(factor.weight_gradient, row["backward"][1]);
  }
  for (const Json& row : golden["rms_norm"])
    same(norm_gain_factor(row["width"], row["width"].get<int64_t>() * row["rows"].get<int64_t>()),
         row["backward"][0]);
  for (const Json& row : golden["dropout"]) same(dropout_factor(row["p"]), row["forward"][0]);
  same(add_factor(), golden["add"]["forward"][0]);
  same(mse_gradient_factor(), golden["mse_loss"]["backward"][0]);
  for (const Json& row : golden["taus"]) {
    const auto branches = row["layers"].get<size_t>();
    const auto taus = residual_taus(std::vector<bool>(branches, true), row["mult"], row["ratio"]);
    REQUIRE(taus.size() == branches);
    for (size_t i = 0; i < branches; ++i) same(taus[i], row["tau"][i]);
  }
}

TEST_CASE("factors of the last map, of products, convolutions and tables are the reference's") {
  const Json golden = test::read_golden("unit_scaling.json");
  const auto same = [](double value, const Json& wanted) {
    CHECK(value == doctest::Approx(wanted.get<double>()).epsilon(1e-12));
  };
  const auto three = [&](const MatmulFactor& factor, const Json& row) {
    CAPTURE(row.dump());
    same(factor.output, row["forward"][0]);
    same(factor.input_gradient, row["backward"][0]);
    same(factor.weight_gradient, row["backward"][1]);
  };
  for (const Json& row : golden["readout"])
    three(readout_factor(row["in"], row["out"], row["rows"]), row);
  // Left [left, inner], right [inner, right]: a map of `inner` inputs over `left` rows.
  for (const Json& row : golden["matmul"])
    three(matmul_factor(row["inner"], row["right"], row["left"]), row);
  for (const Json& row : golden["conv1d"]) {
    const int64_t kernel = row["kernel"], stride = row["stride"], groups = row["groups"];
    const int64_t length =
        (row["sequence"].get<int64_t>() + 2 * (kernel / 2) - kernel) / stride + 1;
    three(conv1d_factor(row["in"].get<int64_t>() / groups, row["out"], kernel, groups, stride,
                        length * row["batch"].get<int64_t>()),
          row);
  }
  for (const Json& row : golden["embedding"])
    same(embedding_factor(row["vocabulary"], row["tokens"]), row["backward"][0]);
  for (const Json& row : golden["layer_norm"])  // gain and bias
    for (const Json& wanted : row["backward"])
      same(norm_gain_factor(row["width"], row["width"].get<int64_t>() * row["rows"].get<int64_t>()),
           wanted);
  for (const Json& row : golden["add_broadcast"]) {
    same(add_factor(), row["forward"][0]);
    same(broadcast_factor(1), row["backward"][0]);
    same(broadcast_factor(row["copies"]), row["backward"][1]);
  }
}

TEST_CASE("constraints choose among an op's scales as the reference does") {
  const Json golden = test::read_golden("unit_scaling.json");
  std::set<std::string> names;
  const auto same = [](double value, const Json& wanted) {
    CHECK(value == doctest::Approx(wanted.get<double>()).epsilon(1e-12));
  };
  for (const Json& row : golden["constraints"]) {
    const std::string name = row["name"];
    names.insert(name);
    const std::vector<double> got = constrained(name, row["scales"].get<std::vector<double>>());
    REQUIRE(got.size() == row["constrained"].size());
    for (size_t i = 0; i < got.size(); ++i) same(got[i], row["constrained"][i]);
  }
  CHECK(names.size() == 7);
  for (const Json& row : golden["linear_constrained"]) {
    const MatmulFactor factor =
        constrained(row["constraint"].get<std::string>(), matmul_factor(row["in"], row["out"], 10));
    same(factor.output, row["forward"][0]);
    same(factor.input_gradient, row["backward"][0]);
    same(factor.weight_gradient, row["backward"][1]);
  }
  for (const Json& row : golden["gelu_constrained"]) {
    const OpFactor factor =
        constrained(row["constraint"].get<std::string>(), gelu_factor(row["m"]));
    same(factor.forward, row["forward"][0]);
    same(factor.backward, row["backward"][0]);
  }
  const double two[] = {0.5, 2.0};
  CHECK(constrained("none", two) == std::vector<double>{0.5, 2.0});
  CHECK_THROWS(constrained("to_left_grad_scale", two));
  CHECK_THROWS(constrained("to_input_scale", two));
}

TEST_CASE("activations of blocks have one factor both ways, whichever the constraint chooses") {
  for (const char* ffn : {"gelu", "silu", "relu2", "reglu2", "swiglu", "geglu", "fastfood"})
    for (const char* name : {"to_output_scale", "to_grad_input_scale", "gmean", "hmean", "amean"}) {
      const OpFactor factor = ffn_factor(ffn, ModelConfig{}, 0.5, name).activation;
      CHECK(factor.forward == factor.backward);
    }
  CHECK(ffn_factor("gelu", ModelConfig{}, 0.5).activation.forward == gelu_factor(0.5).forward);
  CHECK(ffn_factor("gelu", ModelConfig{}, 0.5, "to_grad_input_scale").activation.forward ==
        gelu_factor(0.5).backward);
}

TEST_CASE("a context of one token has a finite attention factor") {
  CHECK(attention_factor(1, 16, 1, true) == doctest::Approx(1.0));
  CHECK(attention_factor(1, 16, 1, false) == doctest::Approx(1.0));
  CHECK_THROWS(attention_factor(1, 16, 0, true));
}

TEST_CASE("branches that are not there leave the stream alone, the others share it evenly") {
  const std::vector<bool> there{true, false, true, true, true, false};
  const std::vector<ResidualFactor> factors = residual_factors(there, 1.0, 1.0);
  double embedding = 1.0;
  std::vector<double> share(there.size(), 0.0);
  for (size_t b = 0; b < there.size(); ++b) {
    const double skip = factors[b].skip * factors[b].skip;
    if (!there[b]) CHECK((factors[b].skip == 1.0 && factors[b].branch == 0.0));
    embedding *= skip;
    for (double& s : share) s *= skip;
    share[b] = factors[b].branch * factors[b].branch;
  }
  CHECK(embedding == doctest::Approx(1.0 / 3.0));
  for (size_t b = 0; b < there.size(); ++b)
    CHECK(share[b] == doctest::Approx(there[b] ? 1.0 / 6.0 : 0.0));
}

TEST_CASE("residual taus make embedding, attention and ffn equal thirds of the stream") {
  for (const double ratio : {0.25, 1.0, 3.0}) {
    const std::vector<ResidualFactor> factors =
        residual_factors(std::vector<bool>(12, true), 1.0, ratio);
    double embedding = 1.0, attention = 0.0, ffn = 0.0;
    for (size_t l = 0; l < factors.size(); ++l) {
      const double skip = factors[l].skip * factors[l].skip,
                   branch = factors[l].branch * factors[l].branch;
      CHECK(skip + branch == doctest::Approx(1.0));
      CHECK(factors[l].delayed);
      embedding *= skip;
      attention = attention * skip + (l % 2 == 0 ? branch : 0.0);
      ffn = ffn * skip + (l % 2 == 1 ? branch : 0.0);
    }
    CHECK(embedding + attention + ffn == doctest::Approx(1.0));
    CHECK(embedding == doctest::Approx(1.0 / 3.0));
    CHECK(attention / ffn == doctest::Approx(ratio * ratio));
  }
}

TEST_CASE("factors bring simulated activations to unit scale") {
  for (const double m : {0.25, 1.0, 4.0}) {
    CAPTURE(m);
    const auto gelu = [&](double x, double) { return x * phi(m * x); };
    CHECK(deviation(gelu, true) * gelu_factor(m).forward == doctest::Approx(1.0).epsilon(0.05));
    const auto silu = [&](double x, double) { return x * sigmoid(m * x); };
    CHECK(deviation(silu, true) * silu_factor(m).forward == doctest::Approx(1.0).epsilon(0.06));
    const auto swiglu = [&](double x, double g) { return x * g * sigmoid(m * g); };
    CHECK(deviation(swiglu, false) * silu_glu_factor(m).forward ==
          doctest::Approx(1.0).epsilon(0.06));
    const auto geglu = [&](double x, double g) { return x * g * phi(m * g); };
    CHECK(deviation(geglu, false) * gelu_glu_factor(m).forward ==
          doctest::Approx(1.0).epsilon(0.05));
  }
  const auto relu2 = [](double x, double) { return x > 0.0 ? x * x : 0.0; };
  const auto slope = [](double x, double) { return x > 0.0 ? 2.0 * x : 0.0; };
  CHECK(deviation(relu2, true) * relu_squared_factor().forward ==
        doctest::Approx(1.0).epsilon(0.02));
  CHECK(deviation(slope, false) * relu_squared_factor().backward ==
        doctest::Approx(1.0).epsilon(0.02));
  const auto reglu2 = [](double x, double g) { return g > 0.0 ? x * g * g : 0.0; };
  CHECK(deviation(reglu2, false) * relu_squared_glu_factor().forward ==
        doctest::Approx(1.0).epsilon(0.03));
}

TEST_CASE("scores are multiplied by m / d, and an unknown ffn is refused") {
  CHECK(attention_logit_factor(3, 64) == doctest::Approx(3.0 / 64));
  CHECK_THROWS(ffn_factor("maxout", ModelConfig{}, 1.0));
}

#include <ATen/ops/cat.h>

#include "model/mixers/mixers.h"
#include "scaling/count.h"
#include "support/goldens.h"
#include "support/models.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

// The golden's shapes: width 6, inner 12, 4 heads of 3, 2 sequences of 11.
ModelConfig golden_model(bool two_groups) {
  ModelConfig m;
  m.width = 6;
  m.head_dim = 6;
  m.ssm_expand = 2;
  m.ssm_head_dim = 3;
  m.ssm_conv = 4;
  m.ssm_chunk = 4;
  m.ssm_groups = two_groups ? 2 : 1;
  m.ssm_state = two_groups ? 3 : 5;
  m.norm_gain = two_groups;
  return m;
}

Tensor golden_weight(const TensorSpec& spec) {
  struct Wave {
    const char* name;
    double step, size, shift;
  };
  static constexpr std::array waves{Wave{"in_zx", 0.71, 0.6, 0.0},    Wave{"in_bc", 1.7, 0.8, 0.0},
                                    Wave{"in_dt", 0.57, 0.4, 0.0},    Wave{"conv", 1.9, 0.5, 0.0},
                                    Wave{"conv_bias", 0.8, 0.3, 0.0}, Wave{"A_log", 1.1, 0.6, 0.4},
                                    Wave{"dt_bias", 0.9, 1.0, -1.5},  Wave{"D", 0.7, 0.5, 1.0},
                                    Wave{"out", 0.37, 0.5, 0.0},      Wave{"norm", 0.63, 0.4, 1.0}};
  std::vector<int64_t> shape{1};
  shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
  for (const Wave& w : waves)
    if (spec.name == w.name) return sines(shape, w.step, w.size, w.shift);
  FAIL("no golden for ", spec.name);
  return {};
}

struct Mixer {
  ModelConfig model;
  BlockFactors block{};
  Rope rope{};
  std::vector<TensorSpec> specs;
  std::vector<Weight> weights;

  Mixer(const ModelConfig& m, at::ScalarType type) : model(m), specs(describe_mamba2(m)) {
    for (const TensorSpec& spec : specs) {
      weights.push_back({.value = golden_weight(spec).to(type)});
      weights.back().gradient = at::zeros_like(weights.back().value);
    }
  }
  Tensor forward(const Tensor& x, MixerState* state = nullptr) const {
    return mamba2_forward(weights, x, {model, block, rope, 0, state});
  }
};

void check_golden(bool two_groups, at::ScalarType type, double tolerance) {
  CAPTURE(two_groups);
  const Json golden = read_golden("mamba2.json").at(two_groups ? "two_groups" : "one_group");
  const Mixer mixer(golden_model(two_groups), type);
  const Tensor x = sines({1, 2, 11, 6}, 0.83, 1.4).to(type).requires_grad_();
  MixerState state;
  const Tensor out = mixer.forward(x, &state);
  CHECK(distance(out, golden_tensor(golden.at("out"), out)) < tolerance);
  CHECK(distance(state[0], golden_tensor(golden.at("past"), state[0])) < tolerance);
  CHECK(distance(state[1], golden_tensor(golden.at("state"), state[1])) < tolerance);
  (out * sines(out.sizes().vec(), 0.3).to(type)).sum().backward();
  CHECK(distance(x.grad(), golden_tensor(golden.at("dx"), x)) < tolerance);
  for (size_t i = 0; i < mixer.specs.size(); ++i) {
    CAPTURE(mixer.specs[i].name);
    const Tensor& gradient = mixer.weights[i].gradient;
    const Tensor want = golden_tensor(golden.at("d" + mixer.specs[i].name), gradient);
    CHECK(distance(gradient, want) < tolerance);
  }
}

}  // namespace

TEST_CASE("mamba2's output, states and gradients equal an independent implementation") {
  for (const bool two_groups : {false, true}) {
    check_golden(two_groups, at::kDouble, 1e-11);
    check_golden(two_groups, at::kFloat, 1e-5);
  }
}

TEST_CASE("mamba2 over a sequence is mamba2 step by step, and in uneven pieces") {
  const Mixer mixer(golden_model(true), at::kDouble);
  const Tensor x = normal({1, 3, 10, 6}, 5);
  const Tensor whole = mixer.forward(x);
  for (const std::vector<int64_t>& cuts :
       {std::vector<int64_t>(10, 1), {7, 1, 1, 1}, {1, 2, 7}, {5, 5}}) {
    MixerState state;
    std::vector<Tensor> pieces;
    int64_t at = 0;
    for (const int64_t count : cuts) {
      pieces.push_back(mixer.forward(x.narrow(2, at, count).contiguous(), &state));
      at += count;
    }
    CHECK(distance(at::cat(pieces, 2), whole) < 1e-12);
  }
}

TEST_CASE("mamba2's chunk length does not show") {
  ModelConfig m = golden_model(false);
  const Tensor x = normal({1, 2, 23, 6}, 6);
  const Tensor want = Mixer(m, at::kDouble).forward(x);
  for (const int64_t chunk : {1, 5, 23, 100}) {
    m.ssm_chunk = chunk;
    CHECK(distance(Mixer(m, at::kDouble).forward(x), want) < 1e-12);
  }
}

TEST_CASE("mamba2 starts as the authors' code: A in [1, 16], dt log-uniform in [0.001, 0.1], D 1") {
  RunConfig config = tiny_config();
  config.model.width = 256;
  config.model.mixer = "mamba2";
  config.model.ssm_head_dim = 1;  // 512 heads
  config.model.depth = 2;
  const Decoder d = make_decoder(config, 11);
  Tensor row = at::zeros({d.layout.stride}, at::kDouble);
  initialise(d.layout, row, 3);
  const auto find = [&](const std::string& name) {
    for (size_t i = 0; i < d.layout.tensors.size(); ++i)
      if (d.layout.tensors[i].name == name) return view(d.layout, row.unsqueeze(0), i);
    FAIL("no tensor ", name);
    return Tensor();
  };
  const auto check_uniform = [](const Tensor& values, double low, double high) {
    const double count = static_cast<double>(values.numel()), span = high - low;
    CHECK(values.min().item<double>() >= low - 1e-12);
    CHECK(values.max().item<double>() <= high + 1e-12);
    CHECK(std::abs(values.mean().item<double>() - (low + high) / 2.0) <
          4.0 * span / std::sqrt(12.0 * count));
    CHECK(std::abs(values.std().item<double>() - span / std::sqrt(12.0)) <
          4.0 * span / std::sqrt(80.0 * count));
  };
  check_uniform(find("blocks.0.mixer.A_log").exp(), 1.0, 16.0);
  const Tensor dt = find("blocks.0.mixer.dt_bias").exp().log1p();  // softplus
  check_uniform(dt.log(), std::log(0.001), std::log(0.1));
  check_uniform(find("blocks.0.mixer.conv"), -0.5, 0.5);
  check_uniform(find("blocks.0.mixer.conv_bias"), -0.5, 0.5);
  CHECK(find("blocks.0.mixer.D").eq(1.0).all().item<bool>());
  CHECK(!find("blocks.1.mixer.A_log").equal(find("blocks.0.mixer.A_log")));
}

TEST_CASE("mamba2's tensors, parameters and FLOPs follow from its shape") {
  RunConfig config = tiny_config();  // width 24, depth 2, ffn 60
  config.model.mixer = "mamba2";
  config.model.ssm_state = 5;
  config.model.ssm_head_dim = 6;
  config.model.ssm_groups = 2;
  config.model.norm_gain = false;
  const Decoder d = make_decoder(config, 11);
  const int64_t inner = 48, heads = 8, shared = 10, mixed = inner + 2 * shared;
  const int64_t maps = 24 * (2 * inner + 2 * shared + heads) + inner * 24, filters = 4 * mixed;
  const int64_t ffn = 3 * 24 * 60;
  CHECK(count(d.layout.tensors).N == 2 * (maps + filters + mixed + 3 * heads + ffn) + 24 * 11);
  const double matrices = 2.0 * static_cast<double>(2 * (maps + filters + ffn) + 24 * 11);
  const double scan = 5.0 * static_cast<double>(inner * 5);
  CHECK(forward_flops(d, 18) == doctest::Approx(18.0 * (matrices + 2.0 * scan)));
  CHECK(forward_flops_per_token(d.layout.tensors, 2.0 * scan) ==
        doctest::Approx(matrices + 2.0 * scan));
}

TEST_CASE("mamba2's roles: what grows with the width, what does not, and what never decays") {
  const auto factors_of = [](int64_t width, const char* rule) {
    RunConfig config = tiny_config();
    config.parametrisation = rule;
    config.base_width = 32;
    config.model.width = width;
    config.model.mixer = "mamba2";
    const Decoder d = make_decoder(config, 11);
    std::map<std::string, Factors> factors;
    for (size_t i = 0; i < d.layout.tensors.size(); ++i)
      factors[d.layout.tensors[i].name] = d.layout.factors[i];
    return factors;
  };
  const auto base = factors_of(32, "mup"), wide = factors_of(128, "mup");
  const auto f = [](const auto& all, const char* name) {
    return all.at("blocks.0.mixer." + std::string(name));
  };
  for (const char* name : {"in_zx", "in_dt", "out"})
    CHECK(f(wide, name).C == doctest::Approx(f(base, name).C / 4.0));
  CHECK(f(wide, "in_bc").A == doctest::Approx(f(base, "in_bc").A / 4.0));
  CHECK(f(wide, "in_bc").C == doctest::Approx(f(base, "in_bc").C));
  for (const char* name : {"conv", "conv_bias", "A_log", "dt_bias", "D"}) {
    CHECK(f(wide, name).A == 1.0);
    CHECK(f(wide, name).C == doctest::Approx(f(base, name).C));
  }
  for (const char* name : {"A_log", "dt_bias", "D"}) CHECK(f(wide, name).decay == 0.0);
  CHECK(f(wide, "conv").decay == 1.0);
  const auto unit = factors_of(128, "umup");
  CHECK(f(unit, "A_log").C == doctest::Approx(1.0 / std::sqrt(128.0 * 2.0)));
  CHECK(f(unit, "A_log").A == 1.0);
}

TEST_CASE("mamba2 names the shapes it cannot have, and the device it has not run on") {
  const auto message = [](auto change) {
    RunConfig config = tiny_config();
    config.model.mixer = "mamba2";
    change(config);
    return error_of([&] { make_decoder(config, 11); });
  };
  CHECK(message([](RunConfig& c) { c.model.ssm_head_dim = 7; }).find("48 inner units") !=
        std::string::npos);
  CHECK(message([](RunConfig& c) { c.model.ssm_groups = 2; }).find("the 3 heads. Received 2") !=
        std::string::npos);
  CHECK(message([](RunConfig& c) { c.device = "cuda"; }).find("mamba2 runs on the CPU only") !=
        std::string::npos);
}

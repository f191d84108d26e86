#include "ops/activation.h"

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("swiglu equals its plain twin at every width, slope and factor") {
  for (const int64_t width : {1, 5, 16, 21, 48, 192})
    for (const ActivationOptions options : {ActivationOptions{},
                                            {.slope = 0.25},
                                            {.slope = 4.0, .forward = 1.4, .backward = 1.4},
                                            {.slope = 1.0, .forward = 1.68, .backward = 0.5}}) {
      const auto op = [=](auto function) {
        return
            [=](const std::vector<Tensor>& x, const std::vector<Weight>&) -> std::vector<Tensor> {
              return {function(Activation::swiglu, x[0], options)};
            };
      };
      check_twin({.name = fmt::format("swiglu width={} slope={}", width, options.slope),
                  .inputs = {normal({2, 2, 3, 2 * width}, 1) * 2.0},
                  .weights = {},
                  .fused = op(activation),
                  .plain = op(activation_plain)});
    }
}

TEST_CASE("activations at known points") {
  const auto value = [](Activation kind, std::vector<double> x, ActivationOptions options = {}) {
    const Tensor input = at::empty({1, 1, 1, static_cast<int64_t>(x.size())}, at::kDouble);
    std::copy(x.begin(), x.end(), input.mutable_data_ptr<double>());
    return activation(kind, input, options).flatten()[0].item<double>();
  };
  const double sigmoid2 = 1.0 / (1.0 + std::exp(-2.0));
  CHECK(value(Activation::swiglu, {2.0, 3.0}) == doctest::Approx(6.0 * sigmoid2));
  CHECK(value(Activation::swiglu, {1.0, 3.0}, {.slope = 2.0, .forward = 0.5}) ==
        doctest::Approx(1.5 * sigmoid2));
  CHECK(value(Activation::gelu, {1.0}) == doctest::Approx(0.841192).epsilon(1e-6));
  CHECK(value(Activation::geglu, {1.0, -2.0}) == doctest::Approx(-1.682384).epsilon(1e-6));
  CHECK(value(Activation::reglu2, {3.0, -2.0}, {.slope = 9.0, .forward = 0.5}) ==
        doctest::Approx(-9.0));
  CHECK(value(Activation::reglu2, {-3.0, 2.0}) == 0.0);
  CHECK(value(Activation::relu2, {3.0}) == doctest::Approx(9.0));
  CHECK(value(Activation::relu2, {-3.0}) == 0.0);
}

TEST_CASE("swiglu saturates without overflow") {
  Tensor x = at::empty({1, 1, 1, 4}, at::kFloat);
  float* values = x.mutable_data_ptr<float>();
  values[0] = -500.0f, values[1] = 500.0f, values[2] = values[3] = 2.0f;
  const Tensor y = activation(Activation::swiglu, x, {});
  CHECK(y.flatten()[0].item<double>() == doctest::Approx(0.0));
  CHECK(y.flatten()[1].item<double>() == doctest::Approx(1000.0));
}

#include "ops/norm.h"

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Case {
  int64_t members, batch, time, width;
  bool center, gain;
  NormOptions factors;
};

const std::vector<Case> cases{
    {1, 2, 3, 16, false, false, {}},
    {1, 1, 5, 64, false, true, {}},
    {3, 2, 4, 7, false, true, {}},
    {2, 3, 5, 17, true, true, {}},
    {1, 2, 3, 40, true, false, {}},
    {2, 1, 3, 1, false, true, {}},
    {2, 2, 2, 100, true, true, {.skip = 0.8, .branch = 0.6, .branch_gradient = 0.6}},
    {1, 2, 7, 33, false, true, {.skip = 0.9, .branch = 0.4, .branch_gradient = 1.0}},
    {2,
     2,
     3,
     48,
     false,
     false,
     {.skip = 0.9, .branch = 0.4, .branch_gradient = 1.0, .input_gradient = 0.3}},
    {1,
     1,
     4,
     20,
     true,
     true,
     {.skip = 1.1, .branch = -0.4, .branch_gradient = 0.7, .input_gradient = 2.5}},
};

Twin twin_of(const Case& c, bool added) {
  NormOptions options = c.factors;
  options.center = c.center;
  const std::vector<int64_t> shape{c.members, c.batch, c.time, c.width};
  Twin twin{.name = fmt::format("{} P={} width={} center={} gain={}", added ? "add_norm" : "norm",
                                c.members, c.width, c.center, c.gain),
            .inputs = {normal(shape, 1)},
            .weights = {},
            .fused = {},
            .plain = {}};
  if (added) twin.inputs.push_back(normal(shape, 2));
  if (c.gain) twin.weights.push_back(normal({c.members, c.width}, 3) + 1.0);
  const auto op = [=](auto alone, auto both) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
      const Weight gain = w.empty() ? Weight{} : w[0];
      if (!added) return {alone(x[0], gain, options)};
      const auto [h, y] = both(x[0], x[1], gain, options);
      return {h, y};
    };
  };
  twin.fused = op(norm, add_norm);
  twin.plain = op(norm_plain, add_norm_plain);
  return twin;
}

}  // namespace

TEST_CASE("norm and add_norm equal their plain twins") {
  for (const Case& c : cases) {
    // A width of one under RMSNorm is sign(x): its gradient is rounding alone.
    if (c.width > 1) check_twin(twin_of(c, false));
    if (c.width > 1) check_twin(twin_of(c, true));
  }
}

TEST_CASE("add_norm without a branch hands its input on, and both gradients arrive") {
  const auto op = [](auto function) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
      const auto [h, y] =
          function(x[0], Tensor(), w[0], NormOptions{.skip = 0.5, .input_gradient = 0.3});
      return {h, y};
    };
  };
  check_twin({.name = "norm of a stream",
              .inputs = {normal({2, 2, 3, 24}, 1)},
              .weights = {normal({2, 24}, 3)},
              .fused = op(add_norm),
              .plain = op(add_norm_plain)});
  const Tensor x = normal({1, 2, 3, 24}, 1);
  CHECK(same_bits(add_norm(x, Tensor(), {}, {.skip = 0.5}).first, x));
}

TEST_CASE("norm has unit mean square, layernorm zero mean, rows of zeros stay zero") {
  const Tensor x = normal({1, 1, 6, 50}, 5).to(at::kFloat) * 7.0 + 3.0;
  const Tensor rms = norm(x, {}, {});
  CHECK(distance((rms * rms).mean({-1}), at::ones({1, 1, 6})) < 1e-5);
  const Tensor layer = norm(x, {}, {.center = true});
  CHECK(layer.mean({-1}).abs().max().item<double>() < 1e-6);
  CHECK(norm(at::zeros({1, 1, 2, 20}), {}, {}).abs().max().item<double>() == 0.0);
}

TEST_CASE("the last norm's residual output may stay unused") {
  const Twin twin = [] {
    Twin t = twin_of(
        {2, 2, 3, 24, false, true, {.skip = 0.7, .branch = 0.5, .branch_gradient = 0.5}}, true);
    for (Twin::Op* op : {&t.fused, &t.plain})
      *op = [inner = *op](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        return std::vector<Tensor>{inner(x, w)[1]};
      };
    return t;
  }();
  check_twin(twin);
}

TEST_CASE("scale_gradient changes the gradient alone") {
  Tensor x = normal({4}, 1).set_requires_grad(true);
  const Tensor y = scale_gradient(x, -2.5);
  CHECK(same_bits(y.detach(), x.detach()));
  y.sum().backward();
  CHECK(distance(x.grad(), at::full({4}, -2.5)) == 0.0);
}

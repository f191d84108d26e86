#include "ops/ternary.h"

#include "ops/linear.h"
#include "ops/norm.h"
#include "support/goldens.h"

using namespace rung;
using namespace rung::test;

namespace {

// The golden's map: two parts of 6 and 4 rows on 8 inputs.
Weight golden_weight(at::ScalarType type) {
  Weight w{.value = sines({1, 10, 8}, 0.61, 0.9).to(type)};
  w.gradient = at::zeros_like(w.value);
  w.ternary = std::make_shared<const std::vector<int64_t>>(std::vector<int64_t>{6, 4});
  return w;
}
Tensor golden_input(at::ScalarType type) {
  return sines({1, 2, 3, 8}, 0.83, 1.4).to(type);
}

using Op = Tensor (*)(const Tensor&, const Weight&);

void check_golden(Op op, at::ScalarType type, double tolerance) {
  const Json golden = read_golden("ternary.json").at("linear");
  const Tensor x = golden_input(type).requires_grad_();
  const Weight w = golden_weight(type);
  const Tensor y = op(x, w);
  CHECK(distance(y, golden_tensor(golden.at("y"), y)) < tolerance);
  (y * sines({1, 2, 3, 10}, 0.3).to(type)).sum().backward();
  CHECK(distance(x.grad(), golden_tensor(golden.at("dx"), x)) < tolerance);
  CHECK(distance(w.gradient, golden_tensor(golden.at("dw"), w.gradient)) < tolerance);
}

}  // namespace

TEST_CASE("BitLinear equals an independent implementation: codes to the bit, values, gradients") {
  const Json golden = read_golden("ternary.json").at("linear");
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-12), std::pair(at::kFloat, 1e-5)}) {
    const Weight w = golden_weight(type);
    const Codes weights = ternary_codes(w.value, *w.ternary);
    CHECK(distance(weights.codes, golden_tensor(golden.at("weights"), weights.codes)) == 0.0);
    const Codes bytes = byte_codes(norm_plain(golden_input(type), Weight{}, {.epsilon = 1e-8}));
    CHECK(distance(bytes.codes, golden_tensor(golden.at("inputs"), bytes.codes)) == 0.0);
    for (const Op op : {Op(ternary_linear), Op(ternary_linear_plain), Op(linear)})
      check_golden(op, type, tolerance);
  }
}

TEST_CASE("BitLinear's twins agree with multipliers and members, with a norm and without") {
  const auto rows = std::make_shared<const std::vector<int64_t>>(std::vector<int64_t>{16, 7});
  const auto with = [rows](Op op, bool norm) {
    return [=](const std::vector<Tensor>& in, const std::vector<Weight>& weights) {
      Weight w = weights[0];
      w.ternary = rows;
      w.ternary_norm = norm;
      return std::vector<Tensor>{op(in[0], w)};
    };
  };
  for (const bool norm : {true, false}) {
    const Twin twin{.name = "ternary",
                    .inputs = {normal({3, 2, 5, 24}, 1)},
                    .weights = {normal({3, 23, 24}, 2)},
                    .factors = {.A = 0.3, .A_input = 0.7, .A_weight = 1.9},
                    .fused = with(ternary_linear, norm),
                    .plain = with(ternary_linear_plain, norm)};
    const auto a = run(twin, twin.fused, at::kDouble), b = run(twin, twin.plain, at::kDouble);
    for (size_t i = 0; i < a.size(); ++i) CHECK(distance(a[i], b[i]) < 1e-12);
  }
}

TEST_CASE("a ternary map without a norm follows the size of its input, one with it does not") {
  Weight w = golden_weight(at::kDouble);
  const Tensor x = golden_input(at::kDouble), normed = ternary_linear(x, w);
  CHECK(distance(ternary_linear(x * 3.0, w), normed) < 1e-7);
  w.ternary_norm = false;
  const Tensor bare = ternary_linear(x, w);
  CHECK(distance(ternary_linear(x * 3.0, w), bare * 3.0) < 1e-12);
  // The codes of a token do not depend on its size.
  CHECK(distance(bare, normed * x.square().mean({-1}, true).sqrt()) < 1e-7);
}

TEST_CASE("BitLinear is bytes times ternary weights, summed in whole numbers") {
  const Weight w = golden_weight(at::kFloat);
  const Tensor x = golden_input(at::kFloat);
  const Codes weights = ternary_codes(w.value, *w.ternary),
              bytes = byte_codes(norm(x, Weight{}, {.epsilon = 1e-8}));
  const Tensor codes = bytes.codes.to(at::kChar), map = weights.codes.to(at::kChar);
  CHECK(same_bits(codes.to(at::kFloat), bytes.codes));  // they fit
  const Tensor sums = (codes.to(at::kInt).unsqueeze(-2) * map[0].to(at::kInt)).sum(-1);
  const Tensor deployed = sums.to(at::kFloat) * bytes.scale * weights.scale.view({1, 1, 1, 10});
  CHECK(distance(linear(x, w), deployed) < 1e-6);
}

TEST_CASE("a map's scale is its own, and small weights are no division by zero") {
  Weight w = golden_weight(at::kDouble);
  const Tensor before = ternary_linear(golden_input(at::kDouble), w);
  w.value.narrow(1, 6, 4).mul_(5.0);
  const Tensor after = ternary_linear(golden_input(at::kDouble), w);
  CHECK(same_bits(after.narrow(3, 0, 6), before.narrow(3, 0, 6)));
  CHECK(distance(after.narrow(3, 6, 4), before.narrow(3, 6, 4) * 5.0) < 1e-12);
  w.value.zero_();
  CHECK(ternary_linear(golden_input(at::kDouble), w).abs().max().item<double>() == 0.0);
  CHECK(ternary_linear(at::zeros({1, 1, 2, 8}, at::kDouble), golden_weight(at::kDouble))
            .abs()
            .max()
            .item<double>() == 0.0);
}

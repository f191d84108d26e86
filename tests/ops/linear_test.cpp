#include "ops/linear.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "ops/norm.h"
#include "ops/packed_linear.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

// y = A x W^T from recorded operations alone, each gradient scaled where it leaves the product.
Tensor linear_plain(const Tensor& x, const Weight& w) {
  const Tensor input = scale_gradient(x, w.A_input / w.A);
  const Tensor matrix = scale_gradient(leaf(w), w.A_weight / w.A);
  return at::matmul(input.flatten(1, 2), matrix.transpose(1, 2))
      .mul(w.A)
      .view({x.size(0), x.size(1), x.size(2), w.value.size(1)});
}

Tensor embedding_plain(const Tensor& tokens, const Weight& table) {
  const Tensor value = scale_gradient(leaf(table), table.A_weight / table.A);
  std::vector<Tensor> members;
  for (int64_t p = 0; p < tokens.size(0); ++p)
    members.push_back(at::embedding(value.select(0, p), tokens.select(0, p)) * table.A);
  return at::stack(members);
}

}  // namespace

TEST_CASE("linear: value and the three split factors") {
  struct Case {
    int64_t members, batch, time, in, out;
    Weight factors;
  };
  const std::vector<Case> cases{{1, 2, 3, 16, 32, {}},
                                {1, 1, 5, 7, 3, {.A = 0.3, .A_input = 0.3, .A_weight = 0.3}},
                                {3, 2, 3, 17, 20, {.A = 0.25, .A_input = 1.5, .A_weight = 0.1}},
                                {2, 1, 1, 1, 1, {.A = 2.0, .A_input = 0.5, .A_weight = 4.0}}};
  for (const Case& c : cases) {
    const auto op = [](auto function) {
      return
          [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
            return {function(x[0], w[0])};
          };
    };
    check_twin({.name = fmt::format("linear P={} {}x{}", c.members, c.out, c.in),
                .inputs = {normal({c.members, c.batch, c.time, c.in}, 1)},
                .weights = {normal({c.members, c.out, c.in}, 2)},
                .factors = c.factors,
                .fused = op(linear),
                .plain = op(linear_plain)});
  }
}

TEST_CASE("one input's linear maps together, rows of a matrix among them, are each alone") {
  const auto op = [](bool together) {
    return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) -> std::vector<Tensor> {
      if (together) return linears(x[0], {cut_rows(w[0], 0, 5), cut_rows(w[0], 5, 4), w[1]});
      const Tensor whole = linear_plain(x[0], w[0]);
      return {whole.narrow(3, 0, 5), whole.narrow(3, 5, 4), linear_plain(x[0], w[1])};
    };
  };
  check_twin({.name = "linears",
              .inputs = {normal({2, 3, 4, 7}, 1)},
              .weights = {normal({2, 9, 7}, 2), normal({2, 3, 7}, 3)},
              .factors = {.A = 0.25, .A_input = 1.5, .A_weight = 0.1},
              .fused = op(true),
              .plain = op(false)});
}

TEST_CASE("matrices that follow each other in the arena are one, others are not") {
  const Tensor values = normal({2, 512}, 1), gradients = normal({2, 512}, 2);
  const auto matrix = [&](int64_t at, int64_t rows) {
    const auto cut = [&](const Tensor& arena) {
      return arena.as_strided({2, rows, 8}, {512, 8, 1}, at);
    };
    return Weight{.value = cut(values), .gradient = cut(gradients), .A = 0.5, .A_weight = 2.0};
  };
  const std::vector<Weight> parts{matrix(128, 16), matrix(256, 4), matrix(288, 3)};
  const std::optional<Weight> all = stacked(parts);
  REQUIRE(all.has_value());
  CHECK(all->value.sizes() == at::IntArrayRef({2, 23, 8}));
  CHECK(same_bits(all->value.narrow(1, 20, 3), parts[2].value));
  CHECK(same_bits(all->gradient.narrow(1, 16, 4), parts[1].gradient));
  CHECK(all->A == 0.5);
  CHECK(all->A_weight == 2.0);
  CHECK(stacked(std::span(parts).first(1))->value.size(1) == 16);
  CHECK_FALSE(stacked(std::vector{matrix(128, 16), matrix(264, 4)}).has_value());
  Weight other = matrix(256, 4);
  other.A_input = 0.25;
  CHECK_FALSE(stacked(std::vector{matrix(128, 16), other}).has_value());
  other = matrix(256, 4);
  other.gradient = Tensor();
  CHECK_FALSE(stacked(std::vector{matrix(128, 16), other}).has_value());
  Taps taps;
  other = matrix(256, 4);
  other.taps = &taps;
  CHECK_FALSE(stacked(std::vector{matrix(128, 16), other}).has_value());
}

TEST_CASE("embedding: rows, repeated tokens and factors") {
  for (const Weight& factors :
       {Weight{}, Weight{.A = 1.7, .A_weight = 1.7}, Weight{.A = 3.0, .A_weight = 0.2}}) {
    const Tensor tokens = ids({3, 2, 9}, 5, 4);  // every token repeats
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>&, const std::vector<Weight>& w) -> std::vector<Tensor> {
        return {function(tokens, w[0])};
      };
    };
    check_twin({.name = fmt::format("embedding A={} A_weight={}", factors.A, factors.A_weight),
                .inputs = {},
                .weights = {normal({3, 5, 11}, 2)},
                .factors = factors,
                .fused = op(embedding),
                .plain = op(embedding_plain)});
  }
}

TEST_CASE("matmul_into adds or replaces, and writes through strided views") {
  const Tensor a = normal({2, 3, 4}, 1), b = normal({2, 4, 5}, 2), product = at::matmul(a, b);
  Tensor arena = at::zeros({2, 40}, at::kDouble);
  const Tensor out = arena.as_strided({2, 3, 5}, {40, 5, 1}, 7);
  matmul_into(out, a, b, 2.0, false);
  CHECK(distance(out, product * 2.0) < 1e-14);
  matmul_into(out, a, b, 1.0, true);
  CHECK(distance(out, product * 3.0) < 1e-14);
  CHECK(arena.narrow(1, 0, 7).abs().sum().item<double>() == 0.0);
  CHECK(arena.narrow(1, 22, 18).abs().sum().item<double>() == 0.0);
}

TEST_CASE("taps keep what linear and embedding read and wrote, use by use, and the gradients") {
  Taps matrix, table;
  const Tensor x = normal({2, 3, 4, 5}, 1).requires_grad_();
  const Tensor map = normal({2, 7, 5}, 2), sum = at::zeros({2, 7, 5}, map.options());
  const Weight weight{
      .value = map, .gradient = sum, .A = 0.5, .A_input = 3.0, .A_weight = 2.0, .taps = &matrix};
  linear(x, weight);
  const Tensor y = linear(x, weight);
  REQUIRE(matrix.size() == 2);
  CHECK(distance(matrix[1].input, x) == 0.0);
  CHECK(distance(matrix[1].output, y) == 0.0);
  const Tensor dy = normal(y.sizes().vec(), 5);
  (y * dy).sum().backward();
  CHECK_FALSE(matrix[0].output_gradient.defined());
  CHECK(distance(matrix[1].output_gradient, dy.view({2, 12, 7})) == 0.0);
  CHECK(distance(matrix[1].input_gradient, x.grad()) == 0.0);
  const Tensor rows =
      embedding(ids({2, 3, 4}, 6, 3), {.value = normal({2, 6, 5}, 4), .A = 2.0, .taps = &table});
  CHECK_FALSE(table[0].input.defined());
  CHECK(distance(table[0].output, rows) == 0.0);
}

TEST_CASE("a watched tensor keeps its value and the whole gradient of what comes after") {
  Tap tap;
  const Tensor x = normal({2, 3}, 1).requires_grad_();
  const Tensor y = watched(x * 2.0, tap);
  (y * y + y).sum().backward();
  CHECK(distance(tap.output, x * 2.0) == 0.0);
  CHECK(distance(tap.output_gradient, x * 4.0 + 1.0) < 1e-14);
  CHECK(distance(x.grad(), x * 8.0 + 2.0) < 1e-14);
}

TEST_CASE("maps packed beside a tail are their outputs one behind the other") {
  for (const int64_t members : {1, 3}) {
    const auto op = [](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>& w) {
        return std::vector<Tensor>{function(x[0], w, x[1])};
      };
    };
    check_twin({.name = "packed linears",
                .inputs = {normal({members, 2, 5, 12}, 1), normal({members, 2, 5, 7}, 2)},
                .weights = {normal({members, 9, 12}, 3), normal({members, 4, 12}, 4)},
                .factors = {.A = 0.25, .A_input = 1.5, .A_weight = 0.1},
                .fused = op(packed_linears_written),
                .plain = op(packed_linears_plain)});
  }
}

TEST_CASE("maps that lie one behind the other are packed by one product") {
  const Tensor values = normal({2, 18, 12}, 3), x = normal({2, 2, 5, 12}, 1),
               upstream = normal({2, 2, 5, 18 + 12}, 4);
  const auto results = [&](auto function) {
    const Tensor gradients = normal({2, 18, 12}, 5), input = x.clone().set_requires_grad(true);
    std::vector<Weight> w(2);
    for (int64_t i = 0; i < 2; ++i)
      w[static_cast<size_t>(i)] = {
          .value = values.narrow(1, 9 * i, 9), .gradient = gradients.narrow(1, 9 * i, 9), .A = 0.5};
    REQUIRE(stacked(w).has_value());
    const Tensor y = function(input, w, input);
    (y * upstream).sum().backward();
    return std::vector<Tensor>{y.detach(), input.grad(), gradients};
  };
  const auto got = results(packed_linears_written), want = results(packed_linears_plain);
  for (size_t i = 0; i < got.size(); ++i) CHECK(distance(got[i], want[i]) < 1e-13);
}

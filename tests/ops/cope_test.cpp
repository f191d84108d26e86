#include "ops/cope.h"

#include <ATen/ops/cat.h>

#include "support/goldens.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr AttentionOptions shape{.heads = 3, .kv_heads = 3, .head_dim = 4, .logit = 0.5};

}  // namespace

TEST_CASE("CoPE equals an independent implementation, value and gradients, scaled and not") {
  const Json golden = read_golden("cope.json");
  for (const bool scaled : {true, false}) {
    CAPTURE(scaled);
    const Json& want = golden.at(scaled ? "scaled" : "unscaled");
    const Tensor qkv = sines({1, 2, 9, 3 * 3 * 4}, 0.7, 2.0).requires_grad_();
    Weight positions{.value = sines({1, 5, 4}, 1.3, 1.5)};
    positions.gradient = at::zeros_like(positions.value);
    const Tensor out = cope_attention(qkv, positions, shape, scaled);
    CHECK(distance(out, golden_tensor(want.at("out"), out)) < 1e-12);
    out.backward(sines({1, 2, 9, 12}, 0.3, 1.0));
    CHECK(distance(qkv.grad(), golden_tensor(want.at("dqkv"), qkv)) < 1e-12);
    CHECK(distance(positions.gradient, golden_tensor(want.at("dpositions"), positions.value)) <
          1e-12);
  }
}

TEST_CASE("CoPE with empty positions is attention without positions, grouped keys included") {
  const AttentionOptions grouped{.heads = 4, .kv_heads = 2, .head_dim = 4, .logit = 0.3};
  const Tensor qkv = normal({2, 3, 7, 8 * 4}, 5);
  const Weight none{.value = at::zeros({2, 5, 4}, at::kDouble)};
  CHECK(distance(cope_attention(qkv, none, grouped, true), attention_plain(qkv, {}, grouped)) <
        1e-14);
}

TEST_CASE("CoPE with open gates counts tokens: its bias is that of relative positions") {
  // One head of size 1 with q = k = 1 and a large logit: every visible gate is 1.
  const AttentionOptions one{.heads = 1, .kv_heads = 1, .head_dim = 1, .logit = 200.0};
  const int64_t time = 6;
  const Tensor ones = at::ones({1, 1, time, 1}, at::kDouble), v = normal({1, 1, time, 1}, 3);
  const Tensor table = normal({1, 8, 1}, 4);
  const Tensor out =
      cope_attention(at::cat({ones, ones, v}, -1), {.value = table}, one, false).flatten();
  for (int64_t i = 0; i < time; ++i) {
    double sum = 0.0, total = 0.0;
    for (int64_t j = 0; j <= i; ++j) {
      const double weight = std::exp(table[0][i - j + 1][0].item<double>());
      sum += weight * v[0][0][j][0].item<double>(), total += weight;
    }
    CHECK(out[i].item<double>() == doctest::Approx(sum / total).epsilon(1e-10));
  }
}

TEST_CASE("CoPE's multipliers act on the table, and each member has its own") {
  const Tensor qkv = normal({2, 1, 6, 3 * 3 * 4}, 8), table = normal({2, 5, 4}, 9);
  const Tensor plain = cope_attention(qkv, {.value = table * 0.25}, shape, true);
  Weight weight{.value = table, .A = 0.25, .A_weight = 0.5};
  weight.gradient = at::zeros_like(table);
  const Tensor scaled = cope_attention(qkv.clone().requires_grad_(), weight, shape, true);
  CHECK(distance(scaled, plain) < 1e-14);
  scaled.sum().backward();
  Weight unit{.value = table * 0.25};
  unit.gradient = at::zeros_like(table);
  cope_attention(qkv.clone().requires_grad_(), unit, shape, true).sum().backward();
  CHECK(distance(weight.gradient, unit.gradient * 0.5) < 1e-12);
  const Tensor second =
      cope_attention(qkv.narrow(0, 1, 1), {.value = table.narrow(0, 1, 1) * 0.25}, shape, true);
  CHECK(distance(plain.narrow(0, 1, 1), second) < 1e-14);
}

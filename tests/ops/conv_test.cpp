#include "ops/conv.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("the causal convolution is the sum over the steps that each filter sees") {
  const int64_t members = 2, batch = 2, time = 5, channels = 3, size = 4;
  const Tensor x = normal({members, batch, time, channels}, 1);
  const Weight filter{.value = normal({members, channels, size}, 2), .A = 0.5},
      bias{.value = normal({members, channels}, 3)};
  const auto [y, past] = causal_conv_silu_plain(x, filter, bias, {});
  for (int64_t p = 0; p < members; ++p)
    for (int64_t t = 0; t < time; ++t)
      for (int64_t c = 0; c < channels; ++c) {
        double z = bias.value[p][c].item<double>();
        for (int64_t j = 0; j < size; ++j)
          if (t - size + 1 + j >= 0)
            z += 0.5 * (filter.value[p][c][j] * x[p][1][t - size + 1 + j][c]).item<double>();
        CHECK(y[p][1][t][c].item<double>() ==
              doctest::Approx(z / (1.0 + std::exp(-z))).epsilon(1e-12));
      }
  CHECK(same_bits(past, x.narrow(2, 2, 3)));
}

TEST_CASE("the causal convolution goes on from the inputs before, short pieces included") {
  const Tensor x = normal({1, 2, 7, 3}, 4);
  const Weight filter{.value = normal({1, 3, 4}, 5)}, bias{.value = normal({1, 3}, 6)};
  const Tensor whole = causal_conv_silu_plain(x, filter, bias, {}).y;
  std::vector<Tensor> pieces;
  Tensor past;
  int64_t at = 0;
  for (const int64_t count : {1, 1, 3, 2}) {
    auto [y, next] = causal_conv_silu_plain(x.narrow(2, at, count), filter, bias, past);
    pieces.push_back(y), past = next, at += count;
  }
  CHECK(distance(at::cat(pieces, 2), whole) < 1e-14);
}

TEST_CASE("a filter of one step has no past") {
  const Tensor x = normal({1, 1, 4, 2}, 7);
  const Weight filter{.value = normal({1, 2, 1}, 8)}, bias{.value = at::zeros({1, 2}, at::kDouble)};
  const auto [y, past] = causal_conv_silu_plain(x, filter, bias, {});
  CHECK(distance(y, at::silu(x * filter.value.view({1, 1, 1, 2}))) < 1e-15);
  CHECK(past.size(2) == 0);
}

TEST_CASE("the fused convolution is its plain twin: values, past, every gradient") {
  struct Shape {
    int64_t members, batch, time, channels, size;
  };
  for (const Shape& s :
       {Shape{1, 1, 1, 1, 1}, Shape{2, 3, 9, 21, 4}, Shape{1, 2, 2, 16, 4}, Shape{2, 1, 30, 33, 2}})
    for (const bool carried : {false, true}) {
      CAPTURE(s.channels);
      CAPTURE(carried);
      const auto run = [&](at::ScalarType type) {
        const auto make = [&](const std::vector<int64_t>& shape, uint64_t seed) {
          return normal(shape, seed).to(type);
        };
        Weight filter{.value = make({s.members, s.channels, s.size}, 2), .A = 0.7, .A_weight = 1.3},
            bias{.value = make({s.members, s.channels}, 3), .A_weight = 0.6};
        filter.gradient = at::zeros_like(filter.value);
        bias.gradient = at::zeros_like(bias.value);
        const Tensor x = make({s.members, s.batch, s.time, s.channels}, 1).requires_grad_();
        const Tensor past =
            carried ? make({s.members, s.batch, s.size - 1, s.channels}, 4) : Tensor();
        const Conv conv = causal_conv_silu(x, filter, bias, past);
        (conv.y * make(conv.y.sizes().vec(), 5)).sum().backward();
        return std::vector<Tensor>{conv.y, conv.past, x.grad(), filter.gradient, bias.gradient};
      };
      const auto fused = run(at::kFloat), plain = run(at::kDouble);
      for (size_t i = 0; i < fused.size(); ++i) {
        CAPTURE(i);
        CHECK(distance(fused[i], plain[i]) < 1e-5);
      }
    }
}

TEST_CASE("a weight used through plain operations has both of its multipliers") {
  Weight weight{.value = normal({2, 3}, 9), .A = 0.25, .A_weight = 3.0};
  weight.gradient = at::ones({2, 3}, at::kDouble);
  const Tensor used = multiplied(weight);
  CHECK(distance(used, weight.value * 0.25) < 1e-15);
  (used * 2.0).sum().backward();
  CHECK(distance(weight.gradient, at::full({2, 3}, 7.0, at::kDouble)) < 1e-15);
}

#include "ops/quantised_linear.h"

#include <ATen/ops/matmul.h>

#include "ops/linear.h"
#include "ops/quantise.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Result {
  Tensor y, dx, dw;
};

MapFormats formats(const char* weight, const char* activation, const char* gradient) {
  return {.weight = parse_quantiser(weight, "formats.weight"),
          .activation = parse_quantiser(activation, "formats.activation"),
          .gradient = parse_quantiser(gradient, "formats.gradient"),
          .key = 5};
}

// x [P, B, T, in], upstream [P, B, T, out].
Result through_linear(const Tensor& x, const Tensor& value, const Tensor& upstream,
                      const MapFormats& f) {
  Weight w{.value = value,
           .gradient = at::zeros_like(value),
           .A = 0.5,
           .A_input = 0.25,
           .A_weight = 3.0};
  w.formats = std::make_shared<const MapFormats>(f);
  const Tensor input = x.clone().requires_grad_();
  const Tensor y = linear(input, w);
  y.backward(upstream);
  return {y.detach(), input.grad(), w.gradient};
}

Tensor along_columns(const Tensor& t, const Quantiser& q, uint64_t key) {
  return quantise_plain(t.transpose(1, 2).contiguous(), q, key).transpose(1, 2);
}

}  // namespace

TEST_CASE("a map in formats: three products of rounded factors, along the axis that is summed") {
  const Tensor x = normal({2, 3, 5, 24}, 1), w = normal({2, 16, 24}, 2),
               up = normal({2, 3, 5, 16}, 3);
  const Tensor rows = x.view({2, 15, 24}), dy = up.view({2, 15, 16});
  for (const MapFormats& f :
       {formats("e4m3", "e4m3", "e5m2"), formats("int8 channel", "int8 channel", "e5m2 tensor"),
        formats("e2m1 mx8", "e2m3 mx8", "e3m2 mx8"), formats("e4m3", "none", "e5m2 stochastic"),
        formats("none", "e4m3 block8", "")}) {
    const Result got = through_linear(x, w, up, f);
    const Tensor y = at::matmul(quantise_plain(rows, f.activation, f.key ^ 1),
                                quantise_plain(w, f.weight, f.key ^ 2).transpose(1, 2)) *
                     0.5;
    CHECK(distance(got.y, y.view_as(got.y)) < 1e-14);
    const bool shared_w = f.weight.over == ScaleOver::fixed,
               shared_x = f.activation.over == ScaleOver::fixed,
               shared_dy =
                   f.gradient.over == ScaleOver::fixed || f.gradient.over == ScaleOver::tensor;
    const Tensor w_back =
        shared_w ? quantise_plain(w, f.weight, f.key ^ 2) : along_columns(w, f.weight, f.key ^ 2);
    const Tensor x_back = shared_x ? quantise_plain(rows, f.activation, f.key ^ 1)
                                   : along_columns(rows, f.activation, f.key ^ 1);
    const Tensor dy_rows = quantise_plain(dy, f.gradient, f.key ^ 3);
    const Tensor dy_columns = shared_dy ? dy_rows : along_columns(dy, f.gradient, f.key ^ 3);
    CHECK(distance(got.dx, (at::matmul(dy_rows, w_back) * 0.25).view_as(got.dx)) < 1e-14);
    CHECK(distance(got.dw, at::matmul(dy_columns.transpose(1, 2), x_back) * 3.0) < 1e-14);
  }
}

TEST_CASE("a map in formats: fp32 with the kernels is fp64's plain way within fp32's rounding") {
  const Tensor x = normal({2, 3, 5, 24}, 1).to(at::kFloat),
               w = normal({2, 16, 24}, 2).to(at::kFloat),
               up = normal({2, 3, 5, 16}, 3).to(at::kFloat);
  const MapFormats f = formats("e4m3", "e4m3", "e5m2 stochastic");
  const Result a = through_linear(x, w, up, f);
  const Result b = through_linear(x.to(at::kDouble), w.to(at::kDouble), up.to(at::kDouble), f);
  CHECK(distance(a.y, b.y) < 1e-6);
  CHECK(distance(a.dx, b.dx) < 1e-6);
  CHECK(distance(a.dw, b.dw) < 1e-6);
  // and not the map without formats
  CHECK(distance(a.y, through_linear(x, w, up, formats("", "", "")).y) > 1e-3);
}

TEST_CASE("a map in formats: joined with others it is what it is alone") {
  const Tensor x = normal({2, 3, 5, 24}, 1).to(at::kFloat),
               values = normal({2, 20, 24}, 2).to(at::kFloat);
  Weight a{.value = values.narrow(1, 0, 12)}, b{.value = values.narrow(1, 12, 8)};
  CHECK(stacked(std::vector{a, b}));
  b.formats = std::make_shared<const MapFormats>(formats("e4m3", "int8 channel", ""));
  CHECK_FALSE(stacked(std::vector{a, b}));
  const std::vector<Tensor> y = linears(x, {a, b});
  CHECK(same_bits(y[0], linear(x, a)));
  CHECK(same_bits(y[1], linear(x, b)));
  b.formats = nullptr;
  CHECK_FALSE(same_bits(y[1], linear(x, b)));
}

TEST_CASE("a map in formats: a member alone is itself in company") {
  const Tensor x = normal({3, 2, 4, 32}, 1).to(at::kFloat),
               w = normal({3, 8, 32}, 2).to(at::kFloat),
               up = normal({3, 2, 4, 8}, 3).to(at::kFloat);
  const MapFormats f = formats("e4m3 tensor", "int8 block16", "e5m2 stochastic");
  const Result all = through_linear(x, w, up, f);
  const Result one = through_linear(x.narrow(0, 1, 1), w.narrow(0, 1, 1), up.narrow(0, 1, 1), f);
  CHECK(distance(all.y.narrow(0, 1, 1), one.y) < 1e-6);
  CHECK(distance(all.dw.narrow(0, 1, 1), one.dw) < 1e-6);
}

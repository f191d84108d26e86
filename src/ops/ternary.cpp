#include "ops/ternary.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>

#include "ops/custom.h"
#include "ops/linear.h"
#include "ops/norm.h"

namespace rung {

using at::Tensor;

namespace {

constexpr double least = 1e-5, norm_epsilon = 1e-8;

// A value with x's gradient.
Tensor straight_through(const Tensor& x, const Tensor& value) {
  Tensor y = value;
  record({y}, {x}, [](const std::vector<Tensor>& g) { return g; });
  return y;
}

}  // namespace

Codes ternary_codes(const Tensor& value, std::span<const int64_t> rows) {
  std::vector<Tensor> codes, scales;
  int64_t start = 0;
  for (const int64_t count : rows) {
    const Tensor part = value.narrow(1, start, count);
    const Tensor scale = part.abs().mean({1, 2}, true).clamp_min(least);
    codes.push_back((part / scale).round_().clamp_(-1.0, 1.0));
    scales.push_back(scale.expand({-1, count, -1}));
    start += count;
  }
  return {at::cat(codes, 1), at::cat(scales, 1)};
}

Codes byte_codes(const Tensor& x) {
  const Tensor scale = x.abs().amax({-1}, true).clamp_min(least) / 127.0;
  return {(x / scale).round_().clamp_(-128.0, 127.0), scale};
}

Tensor ternary_linear(const Tensor& x, const Weight& weight) {
  const Tensor normed = weight.ternary_norm ? norm(x, Weight{}, {.epsilon = norm_epsilon}) : x;
  Weight dense = weight;
  dense.ternary = nullptr;
  Tensor input;
  {
    const at::NoGradGuard off;
    const Codes w = ternary_codes(weight.value.detach(), *weight.ternary),
                a = byte_codes(normed.detach());
    dense.value = w.codes.mul(w.scale);
    input = a.codes.mul(a.scale);
  }
  return linear(straight_through(normed, input), dense);
}

Tensor ternary_linear_plain(const Tensor& x, const Weight& weight) {
  const Tensor normed =
      weight.ternary_norm ? norm_plain(x, Weight{}, {.epsilon = norm_epsilon}) : x;
  const Codes a = byte_codes(normed.detach());
  const Tensor input = normed + (a.codes * a.scale - normed).detach();
  Weight own = weight;
  own.A = 1.0, own.A_weight = weight.A_weight / weight.A;
  const Tensor value = multiplied(own);
  const Codes w = ternary_codes(value.detach(), *weight.ternary);
  const Tensor map = value + (w.codes * w.scale - value).detach();
  return at::matmul(scale_gradient(input, weight.A_input / weight.A),
                    map.transpose(1, 2).unsqueeze(1) * weight.A);
}

}  // namespace rung

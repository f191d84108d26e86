// BitLinear of BitNet b1.58 (Ma et al. 2024, arXiv 2402.17764; the authors' notes on training):
//   x_n = x / sqrt(mean x^2 + 1e-8)              its own norm, without a gain; x without that norm
//   x_q = clamp(round(x_n s), -128, 127) / s,  s = 127 / max(max |x_n|, 1e-5)          a token
//   W_q = clamp(round(W s), -1, 1) / s,        s = 1 / max(mean |W|, 1e-5)             a map
//   y = A x_q W_q^T, with both roundings straight through in the backward pass.
#pragma once
#include <span>

#include "ops/weight.h"

namespace rung {

// Whole numbers, held as such in floating point, and what each is to be multiplied by.
struct Codes {
  at::Tensor codes, scale;
};
// Ternary codes of value [P, out, in], scales [P, out, 1]; `rows` of one scale each, in order.
Codes ternary_codes(const at::Tensor& value, std::span<const int64_t> rows);
// 8-bit codes of x [..., in], scales [..., 1].
Codes byte_codes(const at::Tensor& x);

at::Tensor ternary_linear(const at::Tensor& x, const Weight& weight);
at::Tensor ternary_linear_plain(const at::Tensor& x, const Weight& weight);

}  // namespace rung

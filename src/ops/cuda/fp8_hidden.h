// An ffn's hidden units as codes, and its backward pass (fp8_mlp.cpp).
#pragma once
#include "ops/cuda/fp8.h"
#include "ops/mlp.h"

namespace rung::cuda {

// Codes of the activation, `width` wide, of h [P, rows, columns].
Fp8Codes fp8_activated(const at::Tensor& h, const Mlp& m, int64_t width, bool both);
// Codes of h's gradient from that of the activation's output.
Fp8Codes fp8_hidden_gradient(const at::Tensor& h, const at::Tensor& dout, const Mlp& m);

// What the backward pass reads: hidden units in bf16, the others' codes by columns.
struct Fp8MlpSaved {
  at::Tensor hidden, input, first, inner, second;
};
// The input's gradient (undefined where not needed) from `factor` dy, [P, rows, width]; matrices'
// are added.
at::Tensor fp8_mlp_gradient(const Mlp& m, const Fp8MlpSaved& saved, const at::Tensor& dy,
                            double factor, bool needs_input);

}  // namespace rung::cuda

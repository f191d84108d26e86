// An ffn's hidden units as codes, forward and backward (fp8_mlp.cpp).
#pragma once
#include "ops/cuda/fp8.h"
#include "ops/mlp.h"

namespace rung::cuda {

// Codes of the activation, `width` wide, of h [P, rows, columns].
Fp8Codes fp8_activated(const at::Tensor& h, const Mlp& m, int64_t width, bool both);
// Codes of h's gradient from that of the activation's output.
Fp8Codes fp8_hidden_gradient(const at::Tensor& h, const at::Tensor& dout, const Mlp& m);

}  // namespace rung::cuda

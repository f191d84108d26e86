// State space duality (Dao & Gu 2024, arXiv 2405.21060): a linear recurrence with one decay a head,
// computed step by step or in chunks of matrix products.
#pragma once
#include <ATen/core/Tensor.h>

#include <utility>

namespace rung {

// H heads of size p, states of size N, G groups of H / G heads that share b and c.
struct SsdInput {
  at::Tensor x;      // [P, B, T, H, p]
  at::Tensor dt;     // [P, B, T, H], positive
  at::Tensor a;      // [P, H], negative
  at::Tensor b, c;   // [P, B, T, G, N]
  at::Tensor state;  // [P, B, H, p, N] before the first step; undefined: zero
  at::Tensor skip;   // [P, H]; undefined: zero
};

// h_t = exp(dt_t a) h_{t-1} + dt_t x_t b_t^T, y_t = h_t c_t + skip x_t for every head.
// Returns {y [P, B, T, H, p], the state after the last step}. In float32 on the CPU a fused kernel
// runs the recurrence; other types take `chunk` steps at once (0: chosen by the state's size). On
// a GPU x, b and c may be bf16, and so are the products then; dt, a, skip and the states are fp32.
std::pair<at::Tensor, at::Tensor> ssd(const SsdInput& input, int64_t chunk);

// Plain twins: by the recurrence, and by chunks of `chunk` steps (section 6 of the paper), which
// need not divide T. In chunks, x, b and c may be of a type with fewer digits than the others.
std::pair<at::Tensor, at::Tensor> ssd_recurrent(const SsdInput& input);
std::pair<at::Tensor, at::Tensor> ssd_chunked(const SsdInput& input, int64_t chunk);

}  // namespace rung

// Rotary positions (Su et al. 2021): pair d of a head turns by position * frequency_d.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// frequency_d = theta^(-2 d / head_dim), then scaled: divided by `factor`, all of them (`original`
// 0, Chen et al. 2023) or those that turn slowly (Llama 3.1). Of the latter, a frequency with n =
// original frequency / 2 pi turns over the original context is divided where n < low, kept where n
// > high, and between them mixed: s = (n - low) / (high - low), frequency ((1 - s) / factor + s).
struct RopeOptions {
  double theta = 10000.0;
  double factor = 1.0;
  int64_t original = 0;
  double low = 1.0, high = 4.0;
};

// cos and sin of the angles, each [T, head_dim / 2], from position `start` on.
struct Rope {
  at::Tensor cosine, sine;  // undefined: no rotation
};
Rope make_rope(int64_t time, int64_t head_dim, const at::TensorOptions& options,
               const RopeOptions& rope = {}, int64_t start = 0);

// x [P, B, T, H, d]: rotates the half-split pairs of every head; the identity without tables.
at::Tensor rotated(const at::Tensor& x, const Rope& rope);

}  // namespace rung

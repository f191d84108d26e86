// What recurrences computed in chunks share.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// [P, B, T, G * R, ..] -> [P, B, chunks, G, R, L, ..] with L = chunk; steps beyond T hold `pad`.
at::Tensor chunks_of(const at::Tensor& x, int64_t groups, int64_t chunk, double pad = 0.0);

// Sums of the logarithms l [.., L] over (j, i]: [.., i, j], -infinity above the diagonal.
at::Tensor log_decays(const at::Tensor& l);

}  // namespace rung

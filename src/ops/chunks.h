// What recurrences computed in chunks share.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// [P, B, T, G * R, ..] -> [P, B, chunks, G, R, L, ..] with L = chunk; steps beyond T hold `pad`.
at::Tensor chunks_of(const at::Tensor& x, int64_t groups, int64_t chunk, double pad = 0.0);

// Steps to take at once where `chunk` is 0, of a recurrence with states of rows x columns: the
// squares of a chunk and the states between chunks, of which there are T L and T rows columns / L
// numbers, weigh about the same. A power of two from 16 to 128.
int64_t chosen_chunk(int64_t chunk, int64_t rows, int64_t columns);

// Sums of the logarithms l [.., L] over (j, i]: [.., i, j], -infinity above the diagonal.
at::Tensor log_decays(const at::Tensor& l);

// Sums over all steps of l [.., L] after each one.
at::Tensor sums_after(const at::Tensor& l);

// exp(to_i + from_j) [.., i, j] for j <= i, else 0, in a type with fewer digits than the sums:
// where these are differences of long sums they lose digits that it does not hold.
at::Tensor decays_in(at::ScalarType type, const at::Tensor& to, const at::Tensor& from);

}  // namespace rung

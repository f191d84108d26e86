// How many rows' exponentials a loss without logits (loss_chunks.h) holds at a time.
#pragma once
#include <algorithm>
#include <cstdint>

namespace rung::cuda {

struct LossChunk {
  int64_t members, rows;  // at a time; whole members where these are few enough
};

// A matrix's gradient is one product of all of its member's rows then, where it can be, and not
// sums that are read and written again.
constexpr LossChunk loss_chunk(int64_t members, int64_t rows, int64_t vocabulary) {
  constexpr int64_t most = int64_t{1} << 30;
  const auto pieces = [](int64_t all, int64_t of) { return (all + of - 1) / of; };
  if (rows * vocabulary > most) return {1, pieces(rows, pieces(rows * vocabulary, most))};
  const int64_t fit = most / (rows * vocabulary);
  return {pieces(members, pieces(members, fit)), rows};
}

}  // namespace rung::cuda

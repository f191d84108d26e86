// From tokens to the final norm: the embedding, and branches in the order of a range.
#pragma once
#include <functional>

#include "model/decoder.h"

namespace rung {

// What one pass over a decoder shares.
struct Run {
  const Decoder& d;
  std::span<const Weight> weights;
  const Ropes& ropes;
  Cache* cache = nullptr;
  // The factor by which gradients of the mean loss exceed the truth in the residual stream.
  double loss_factor = 0.0;
  Tally* tally = nullptr;
  StreamTaps* stream = nullptr;
};

// The residual stream before the first branch. tokens [P, B, T] -> [P, B, T, D].
at::Tensor embed(const Run& run, const at::Tensor& tokens);

// The stream behind the last branch, and that through the final norm.
struct Hidden {
  at::Tensor stream, normed;
};
// Sees the stream where heads begin, and returns it.
using Fork = std::function<at::Tensor(const at::Tensor& stream)>;
// The branches `range` on the stream h.
Hidden run_branches(const Run& run, BranchRange range, at::Tensor h, const Fork& fork = {});

// The way from tokens to the next: with a cache they follow those that it has seen.
Hidden run_path(const Run& run, const at::Tensor& tokens, const Fork& fork = {});

// The rotations of `count` positions from the start-th on.
Rope part_of(const Rope& rope, int64_t start, int64_t count);

}  // namespace rung

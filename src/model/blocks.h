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
};

// The residual stream before the first branch. tokens [P, B, T] -> [P, B, T, D].
at::Tensor embed(const Run& run, const at::Tensor& tokens);

// The stream behind the last branch, and that through the final norm.
struct Hidden {
  at::Tensor stream, normed;
};
// The branches `range` on the stream h.
Hidden run_branches(const Run& run, BranchRange range, at::Tensor h);

}  // namespace rung

// One branch of a decoder: its part with everything that the part may need.
#pragma once
#include "model/blocks.h"

namespace rung {

// Branch b: the mixer (even) or the ffn (odd) of block b / 2.
struct Branch {
  const Part& part;
  std::span<const Weight> weights;
  const ResidualFactor& residual;
  Pass pass;
};
Branch branch_of(const Run& run, size_t b);

// Whether branch b is a mixer whose states have to be kept.
bool goes_step_by_step(const Run& run, size_t b);

// Branch b on its input, with the learned scalar where it has one.
at::Tensor run_branch(const Run& run, size_t b, const at::Tensor& x);

}  // namespace rung

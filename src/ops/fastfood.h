// A linear map of n log n work and three diagonals a block: adaptive Fastfood (Le et al. 2013; Yang
// et al. 2015, arXiv 1412.7149).
#pragma once
#include <vector>

#include "ops/weight.h"

namespace rung {

// x H over the last axis, whose size n is a power of two: the Walsh-Hadamard matrix, H_ij =
// n^-1/2 (-1)^(common bits of i and j), which is symmetric and its own inverse. n log2 n additions
// a row.
at::Tensor hadamard(const at::Tensor& x);
at::Tensor hadamard_plain(const at::Tensor& x);

// Blocks of n = the power of two from `in` up, one after the other until there are `out` outputs.
struct FastfoodShape {
  int64_t in = 1, out = 1;
  int64_t n() const;
  int64_t blocks() const;
  double flops() const;  // of one row
};

// y = S H G Pi H B x, block by block; b, g and s [P, blocks n] are the diagonals, and Pi a
// permutation of the n places for each block, one behind the other in `order`. x [P, B, T, in],
// padded by zeros -> [P, B, T, out].
struct FastfoodMap {
  FastfoodShape shape;
  std::vector<int64_t> order;  // [blocks n], each block's entries below n
};
// The permutations that belong to a name, the same in every model.
FastfoodMap make_fastfood(FastfoodShape shape, const char* name, int64_t layer);
at::Tensor fastfood(const at::Tensor& x, const FastfoodMap& map, const Weight& b, const Weight& g,
                    const Weight& s);

}  // namespace rung

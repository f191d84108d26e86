// Bytes that one block of a decoder holds in a pass, from its shapes.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "model/pass_memory.h"

namespace rung {

constexpr int64_t hopper_processors = 132;
constexpr double norm_statistics = 8.0;  // mean and scale of a token, in fp32

// Of one branch with its norm: kept for the backward pass, and held besides at most.
struct BranchBytes {
  double kept = 0.0, forward = 0.0, backward = 0.0, unrecorded = 0.0;
};

struct BlockBytes {
  std::vector<BranchBytes> branches;
  double copies = 0.0;
  double kept() const {
    double sum = copies;
    for (const BranchBytes& b : branches) sum += b.kept;
    return sum;
  }
  double unrecorded() const {
    double most = 0.0;
    for (const BranchBytes& b : branches) most = std::max(most, b.unrecorded);
    return most + copies;
  }
};

BlockBytes block_bytes(const Decoder& decoder, size_t layer, const PassKind& kind, double tokens);

// Whether what the decoder's maps keep in FP8, where some multiply on those units, is known.
bool is_counted_fp8(const Decoder& decoder, const PassKind& kind);

}  // namespace rung

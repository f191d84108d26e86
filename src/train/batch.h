// Windows of tokens as what a step reads and what it is to predict.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>

#include "train/population.h"

namespace rung {

// The [1, B, T] inputs and targets of some windows of context + 1 tokens.
struct Batch {
  at::Tensor tokens, targets;
};

Batch to_batch(std::span<const int32_t> windows, int64_t context);

// Sequences [begin, begin + count) of one member's coming step.
Batch coming_batch(const Population& population, int64_t member, int64_t begin, int64_t count);

}  // namespace rung

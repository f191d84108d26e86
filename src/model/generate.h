// Sampling text from next-token logits.
#pragma once
#include <cstdint>
#include <span>

#include "core/random.h"

namespace rung {

struct Sampling {
  double temperature = 1.0;  // 0: the most likely token
  int64_t top_k = 0;         // 0: all tokens
};

// Draws a token from the softmax of logits / temperature over the `top_k` most likely ones (ties:
// lower ids first). Fails when no logit is finite.
int32_t sample_token(std::span<const float> logits, const Sampling& sampling, Random& random);

}  // namespace rung

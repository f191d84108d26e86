// Sampling text from next-token logits.
#pragma once
#include <cstdint>
#include <span>

#include "core/random.h"

namespace rung {

struct Sampling {
  double temperature = 1.0;  // 0: the most likely token
  int64_t top_k = 0;         // 0: all tokens
  double top_p = 1.0;        // nucleus (Holtzman et al. 2020, arXiv 1904.09751); 1: all tokens
  double min_p = 0.0;        // share of the likeliest token's probability (Nguyen et al. 2024)
};

// Draws a token from the softmax of logits / temperature over the `top_k` most likely ones (ties:
// lower ids first), of these over the fewest whose shares reach `top_p`, and of these over the ones
// at least `min_p` times as likely as the first. Fails when no logit is finite.
int32_t sample_token(std::span<const float> logits, const Sampling& sampling, Random& random);

}  // namespace rung

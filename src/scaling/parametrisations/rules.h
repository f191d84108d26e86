// What the files of this folder share.
#pragma once
#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/error.h"
#include "scaling/parametrisation.h"

namespace rung {

inline double root(int64_t n) {
  return std::sqrt(static_cast<double>(n));
}
inline double ratio(int64_t n, int64_t base) {
  return static_cast<double>(n) / static_cast<double>(base);
}

enum class Alignment { full, none, global };
// Fails (usage) for an unknown word.
inline Alignment alignment_of(std::string_view text, Alignment fallback) {
  if (text.empty()) return fallback;
  if (text == "full") return Alignment::full;
  if (text == "none") return Alignment::none;
  if (text == "global") return Alignment::global;
  fail_usage("[parametrisation] alignment is full, none or global. Received {}.", text);
}

// Fails (usage) for anything but full alignment.
inline void want_full(std::string_view rule, std::string_view alignment) {
  if (alignment_of(alignment, Alignment::full) != Alignment::full)
    fail_usage("[{}] alignment is full alone. Received {}.", rule, alignment);
}

// A, its gradients and B where the forward multiplier alone is prescribed: plain differentiation.
inline Factors plain(const TensorSpec& tensor, double A, double B) {
  Factors factors;
  factors.A = factors.A_input = factors.A_weight = A;
  factors.B = B * tensor.init_std_factor;
  return factors;
}

// The multipliers that a configuration asks for on top of any rule: two residual branches a block,
// their ratio alpha_ratio (attention over ffn) and mean square alpha_res^2, times `branch`.
inline BlockFactors plain_block(const RunConfig& config, const Dims& dims, double branch = 1.0) {
  const MultiplierConfig& m = config.multipliers;
  const double ffn = m.alpha_res * std::sqrt(2.0 / (1.0 + m.alpha_ratio * m.alpha_ratio));
  BlockFactors block;
  block.ffn_slope = m.alpha_ffn;
  block.embedding = m.alpha_emb;
  block.loss_logit = m.alpha_loss;
  for (int64_t layer = 0; layer < dims.depth; ++layer) {
    block.residual.push_back({1.0, branch * m.alpha_ratio * ffn, false});
    block.residual.push_back({1.0, branch * ffn, false});
  }
  return block;
}

// The same with attention logits q.k / sqrt(d).
inline BlockFactors standard_block(const RunConfig& config, const Dims& dims) {
  BlockFactors block = plain_block(config, dims);
  block.attention_logit = config.multipliers.alpha_attn / root(dims.head_dim);
  return block;
}

}  // namespace rung

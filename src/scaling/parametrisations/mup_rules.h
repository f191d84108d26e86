// muP's halves, which rules that add depth, batch or density build upon.
#pragma once
#include "scaling/parametrisations/width_rule.h"

namespace rung {

// A gain that all heads of a layer share, as of QK-norm, adds up their gradients: m^-1 times the
// number of heads, which leaves what a head of a fixed size has at every width (arXiv 2512.22382).
inline Factors with_heads(Factors f, const TensorSpec& tensor, const Dims& dims,
                          std::string_view alignment) {
  if (!tensor.of_a_head) return f;
  const double heads =
      ratio(dims.width, dims.base_width) * ratio(dims.base_head_dim, dims.head_dim);
  f.epsilon *= heads;
  if (dims.conventions.update == Update::sgd && alignment != "global") f.C /= heads;
  return f;
}

Factors mup_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment);
// Without a multiplier on the readout.
Factors mup_table3_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment);
// Logits and attention's q.k start at m^-1/2; changes of every output keep their size.
inline constexpr Promise mup_promise{.width = true, .logits = {-0.5, -0.5}, .scores = -0.5};
// The same over depth too, with what a block tensor's own change adds going as m_L^-step.
constexpr Promise depth_promise(double step) {
  Promise promise = mup_promise;
  promise.depth = true;
  promise.block_step = 0.0 - step;
  return promise;
}
BlockFactors mup_block(const RunConfig& config, const Dims& dims, double branch);

}  // namespace rung

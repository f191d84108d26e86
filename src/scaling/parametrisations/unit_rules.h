// What the rules of unit scaling share: weights and gradients at scale 1.
#pragma once
#include <cmath>

#include "scaling/constraint.h"
#include "scaling/parametrisations/rules.h"
#include "scaling/unit_scaling.h"

namespace rung {

// A linear map of blocks, or with its own factors for an output that nothing else reads.
inline Factors unit_map(const TensorSpec& tensor, const MatmulFactor& factor) {
  Factors f = plain(tensor, factor.output, 1.0);
  f.A_input = factor.input_gradient;
  f.A_weight = factor.weight_gradient;
  return f;
}
inline Factors unit_hidden(const TensorSpec& tensor, const Dims& dims) {
  return unit_map(tensor, constrained(dims.constraint, matmul_factor(tensor.fan_in, tensor.fan_out,
                                                                     dims.batch_tokens)));
}
inline Factors unit_embedding(const TensorSpec& tensor, const Dims& dims) {
  Factors f = plain(tensor, 1.0, 1.0);
  f.A_weight = embedding_factor(dims.vocabulary, dims.batch_tokens);
  return f;
}
// Gains, biases and constants of channels.
inline Factors unit_vector(const TensorSpec& tensor, const Dims& dims) {
  Factors f = plain(tensor, 1.0, 0.0);
  f.A_weight = 1.0 / root(dims.batch_tokens);
  return f;
}

// Multipliers for attention at q.k m / head_dim; residual branches by u-muP's rule.
BlockFactors unit_block(const RunConfig& config, const Dims& dims, double attention_m);

}  // namespace rung

// A parametrisation is a pure function from a tensor's role and shape to its factors (Everett et
// al. 2024): forward = A W x, W ~ N(0, B^2), Adam learning rate = lr C. Sources and tables:
// docs/parametrisations.md.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "scaling/tensors.h"

namespace rung {

// What the rules may depend on besides the tensor itself.
struct Dims {
  int64_t width = 0, base_width = 0;
  int64_t depth = 0, base_depth = 0;  // number of blocks
  int64_t vocabulary = 0, context = 0;
  int64_t head_dim = 0, base_head_dim = 0;
  int64_t batch_tokens = 0, tokens = 0;
};
// The configuration's dimensions with defaults resolved (head_dim 0: width / 4, at the base shape
// too).
Dims dims_of(const RunConfig& config, int64_t vocabulary);

// Complete factors of one tensor at one shape. A belongs to the use: a tied matrix has B and C of
// an embedding, A of a readout; its use as an embedding has A = A_weight = 1.
struct Factors {
  double A = 1.0;         // forward multiplier of the tensor's use
  double A_input = 1.0;   // multiplier in the gradient with respect to the use's input
  double A_weight = 1.0;  // multiplier in the gradient with respect to the weight
  double B = 1.0;  // standard deviation at initialisation; 0 for gains (all 1) and biases (all 0)
  double C = 1.0;  // learning-rate factor
  double decay = 1.0;    // factor on train.weight_decay
  double epsilon = 1.0;  // factor on train.epsilon
};

// Multipliers of the operations without weights. A factor pair is (forward, gradient with respect
// to the input).
struct OpFactor {
  double forward = 1.0, backward = 1.0;
};
struct ResidualFactor {
  double skip = 1.0, branch = 1.0;
  bool delayed =
      false;  // unit scaling: the branch's backward factor is applied where it was split off
};
struct BlockFactors {
  double attention_logit = 1.0;  // multiplies q.k
  OpFactor attention_output;     // multiplies softmax(..) v
  double ffn_slope = 1.0;        // m in x g sigmoid(m g), gelu(m x) / m, ...
  OpFactor ffn_output;           // multiplies the activation's output
  double embedding = 1.0;        // multiplies the embedding's output
  double loss_logit = 1.0;       // multiplies logits before the softmax
  double loss_gradient = 1.0;    // multiplies the gradient of the loss, a mean over batch_tokens
  std::vector<ResidualFactor> residual;  // 2 per block: mixer, ffn
};

// A rule and its two halves: alignment is full, none, global, or empty for the rule's default.
struct Parametrisation {
  std::string_view name, summary;
  Factors (*factors)(const TensorSpec&, const Dims&, std::string_view alignment);
  BlockFactors (*block)(const RunConfig&, const Dims&);
};

std::span<const Parametrisation> parametrisations();
const Parametrisation& find_parametrisation(
    std::string_view name);  // fails (usage), naming the nearest

// The same training under Adam in another form: (A, B, C) -> (A t, B / t, C / t) for any t > 0; the
// gradients and epsilon follow A.
Factors shifted(const Factors& factors, double t);
// Whether some t turns one into the other (A, B and C; relative tolerance).
bool equivalent(const Factors& a, const Factors& b, double tolerance = 1e-9);

}  // namespace rung

// Rules that scale with the width alone, as exponents of m = width / base_width (Everett et al.
// 2024, arXiv 2407.05872, table 1): A = m^-a, B = m^-b, gradient = m^-g, and Adam's LR = m^-c,
// where c is not free: a step of fixed size in all fan_in weights of a unit moves its output by A
// m^-c times m where update and input align (full), times m^1/2 where they do not (none), and
// should move it by 1:
//   c = 1 - a (full), 1/2 - a (none), -a for embeddings, whose input is one-hot; global: c = 0.
// Steps that are proportional to the gradient (SGD) want c - g, to the weight (Adafactor) c - b.
#pragma once
#include "scaling/parametrisations/rules.h"

namespace rung {

struct WidthExponents {
  double a = 0.0, b = 0.0, g = 0.0;
};
struct WidthRule {
  WidthExponents embedding, hidden, readout;
  // Matrices of blocks and the readout start at B = 1 whatever the base shape; A holds the rest.
  bool unit_weights = false;
};

// All rules are one rule at the base shape: A 1, B 1 for embeddings and fan_in^-1/2 for matrices, C
// 1, epsilon 1, up to a shift that leaves training as it is where B is 1 (unit_weights).
Factors width_factors(const WidthRule& rule, const TensorSpec& tensor, const Dims& dims,
                      Alignment alignment);

}  // namespace rung

// Standard parametrisation (STP of Everett et al. 2024, arXiv 2407.05872, table 1).
// Exponents of (embedding, hidden, readout):
//   a 0, 0, 0   b 0, 1/2, 1/2   g 1/2, 1/2, 0   c (Adam) full 0, 1, 1; none 0, 1/2, 1/2; global 0
// Attention q.k / sqrt(d); residual factors 1. Global, the default, is one LR and one epsilon for
// all tensors; full and none come with epsilon that follows the gradient. Embeddings start at 1, as
// in Everett's table and PyTorch; [multipliers] alpha_emb rescales their output.
#include "scaling/parametrisations/width_rule.h"

namespace rung {
namespace {

constexpr WidthRule rule{{0.0, 0.0, 0.5}, {0.0, 0.5, 0.5}, {0.0, 0.5, 0.0}};

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  const Alignment align = alignment_of(alignment, Alignment::global);
  Factors f = width_factors(rule, tensor, dims, align);
  if (align == Alignment::global) f.epsilon = 1.0;
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return standard_block(config, dims);
}

}  // namespace

extern const Parametrisation standard_parametrisation;
constinit const Parametrisation standard_parametrisation{
    "standard", "init fan_in^-1/2; one learning rate, or Everett's per-role exponents",
    factors,    block,
    nullptr,    {.width = true, .full_by_default = false}};

}  // namespace rung

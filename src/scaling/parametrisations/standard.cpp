// Standard parametrisation (STP of Everett et al. 2024, arXiv 2407.05872, table 1), n = width:
//   embedding A 1, B 1; hidden and readout A 1, B fan_in^-1/2; attention q.k / sqrt(d); residual
//   factors 1. LR: global (default) C = 1 everywhere; full alignment n^(0, -1, -1) for embedding,
//   hidden, readout; no alignment n^(0, -1/2, -1/2); gains and biases as the embedding.
// Full and none are relative to base_width and come with epsilon following the gradient, n^-(1/2,
// 1/2, 0). Embeddings start at 1, as in Everett's table and PyTorch; [multipliers] alpha_emb
// rescales their output.
#include "scaling/parametrisations/rules.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  const Alignment align = alignment_of(alignment, Alignment::global);
  const double m = ratio(dims.width, dims.base_width);
  const bool vector = tensor.role == Role::gain || tensor.role == Role::bias;
  const bool matrix = tensor.role == Role::hidden || tensor.role == Role::readout;
  Factors f = plain(tensor, 1.0, vector ? 0.0 : matrix ? 1.0 / root(tensor.fan_in) : 1.0);
  // A tied matrix is an embedding whose logits are scaled as the readout's.
  if (tensor.role == Role::tied) f.A = f.A_input = f.A_weight = 1.0 / root(dims.width);
  if (align == Alignment::global) return f;
  if (matrix) f.C = align == Alignment::full ? 1.0 / m : 1.0 / std::sqrt(m);
  if (tensor.role != Role::readout) f.epsilon = 1.0 / std::sqrt(m);
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  BlockFactors b = plain_block(config, dims);
  b.attention_logit = config.multipliers.alpha_attn / root(dims.head_dim);
  return b;
}

}  // namespace

extern const Parametrisation standard_parametrisation;
constinit const Parametrisation standard_parametrisation{
    "standard", "init fan_in^-1/2; one learning rate, or Everett's per-role exponents", factors,
    block};

}  // namespace rung

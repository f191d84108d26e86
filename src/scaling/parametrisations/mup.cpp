// Maximal update parametrisation, form of table 8 in Tensor Programs V (arXiv 2203.03466), for
// Adam; m = width / base_width, which is fan_in over base fan_in of every matrix whose inputs grow
// with the width:
//   embedding A 1, B 1, C 1; hidden A 1, B fan_in^-1/2, C 1/m; readout A 1/m, B base_fan_in^-1/2,
//   C 1. Attention logits q.k sqrt(base d) / d: 1/d scaling that equals 1/sqrt(d) at the base shape
//   (mup's README has 8/d for d = 64).
// Alignment (Everett et al. 2024 carried over to this form): full as above; none C = (1, m^-1/2,
// m^1/2); global C = 1. Gradients of all weights fall as 1/m in this form, and epsilon with them.
// The decay is independent of the LR, so that the package's lambda * m for hidden matrices is a
// factor of 1 here.
#include "scaling/parametrisations/mup_rules.h"

namespace rung {

Factors mup_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  const Alignment align = alignment_of(alignment, Alignment::full);
  const double m = ratio(dims.width, dims.base_width);
  Factors f;
  switch (tensor.role) {
    case Role::embedding:
      f = plain(tensor, 1.0, 1.0);
      break;
    case Role::tied:  // at the base shape that of the standard rule
      f = plain(tensor, 1.0 / (m * root(dims.base_width)), 1.0);
      break;
    case Role::hidden:
      f = plain(tensor, 1.0, 1.0 / root(tensor.fan_in));
      f.C = align == Alignment::full   ? 1.0 / m
            : align == Alignment::none ? 1.0 / std::sqrt(m)
                                       : 1.0;
      break;
    case Role::readout:
      f = plain(tensor, 1.0 / m, std::sqrt(m) / root(tensor.fan_in));
      f.C = align == Alignment::none ? std::sqrt(m) : 1.0;
      break;
    case Role::gain:
    case Role::bias:
      f = plain(tensor, 1.0, 0.0);
      break;
  }
  f.epsilon = 1.0 / m;
  return f;
}

BlockFactors mup_block(const RunConfig& config, const Dims& dims, double branch) {
  BlockFactors b = plain_block(config, dims, branch);
  b.attention_logit =
      config.multipliers.alpha_attn * root(dims.base_head_dim) / static_cast<double>(dims.head_dim);
  return b;
}

namespace {
BlockFactors block(const RunConfig& config, const Dims& dims) {
  return mup_block(config, dims, 1.0);
}
}  // namespace

extern const Parametrisation mup_parametrisation;
constinit const Parametrisation mup_parametrisation{
    "mup", "hidden LR / m, logits / m, attention 1/d: one LR for all widths", mup_factors, block};

}  // namespace rung

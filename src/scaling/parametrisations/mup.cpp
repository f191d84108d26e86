// Maximal update parametrisation (Tensor Programs V, arXiv 2203.03466) for m = width / base_width,
// which is fan_in over base fan_in of every matrix whose inputs grow with the width. Three forms
// that train alike: (embedding, hidden, readout)
//   table 3, no multipliers:     a 0, 0, 0       b 0, 1/2, 1      g 1, 1, 0      c 0, 1, 1
//   table 8, the default `mup`:  a 0, 0, 1       b 0, 1/2, 0      g 1, 1, 1      c 0, 1, 0
//   table 9, Everett et al.'s:   a -1/2, 0, 1/2  b 1/2, 1/2, 1/2  g 1/2, 1, 1/2  c 1/2, 1, 1/2
// c is Adam's under full alignment; SGD's is c - g, which gives tables 3 and 8 fan_out for
// embeddings and biases, and table 9 zero everywhere. At the base shape embeddings start at 1 and
// matrices at fan_in^-1/2. Attention logits q.k sqrt(base d) / d: 1/d scaling that equals 1/sqrt(d)
// at the base shape (mup's README has 8/d for d = 64). The decay is independent of the LR, so that
// the package's lambda * m for hidden matrices is a factor of 1 here.
#include "scaling/parametrisations/mup_rules.h"

namespace rung {
namespace {

constexpr WidthRule table3{{0.0, 0.0, 1.0}, {0.0, 0.5, 1.0}, {0.0, 1.0, 0.0}};
constexpr WidthRule table8{{0.0, 0.0, 1.0}, {0.0, 0.5, 1.0}, {1.0, 0.0, 1.0}};
constexpr WidthRule table9{{-0.5, 0.5, 0.5}, {0.0, 0.5, 1.0}, {0.5, 0.5, 0.5}};

Factors table9_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  return with_heads(width_factors(table9, tensor, dims, alignment_of(alignment, Alignment::full)),
                    tensor, dims, alignment);
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return mup_block(config, dims, 1.0);
}

}  // namespace

Factors mup_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  return with_heads(width_factors(table8, tensor, dims, alignment_of(alignment, Alignment::full)),
                    tensor, dims, alignment);
}

Factors mup_table3_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  return with_heads(width_factors(table3, tensor, dims, alignment_of(alignment, Alignment::full)),
                    tensor, dims, alignment);
}

BlockFactors mup_block(const RunConfig& config, const Dims& dims, double branch) {
  BlockFactors b = plain_block(config, dims, branch);
  b.attention_logit =
      config.multipliers.alpha_attn * root(dims.base_head_dim) / static_cast<double>(dims.head_dim);
  return b;
}

extern const Parametrisation mup_parametrisation, mup_table3_parametrisation,
    mup_table9_parametrisation;
constinit const Parametrisation mup_parametrisation{
    "mup",       "hidden LR / m, logits / m, attention 1/d: one LR for all widths",
    mup_factors, block,
    nullptr,     mup_promise};
constinit const Parametrisation mup_table3_parametrisation{
    "mup-table3",
    "muP without multipliers: readout init and LR / m",
    mup_table3_factors,
    block,
    nullptr,
    mup_promise};
constinit const Parametrisation mup_table9_parametrisation{
    "mup-table9",   "muP with embedding times sqrt(m), readout / sqrt(m): SGD's LR is one",
    table9_factors, block,
    nullptr,        mup_promise};

}  // namespace rung

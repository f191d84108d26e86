// Mean-field parametrisation (Mei et al. 2018; Everett et al. 2024, table 1).
// Exponents of (embedding, hidden, readout):
//   a 0, 1/2, 1   b 0, 0, 0   g 1, 3/2, 1   c (Adam) full 0, 1/2, 0; none 0, 0, -1/2; global 0
// that is weights that start at 1, hidden A = fan_in^-1/2 and a readout with A ~ 1 / fan_in (times
// sqrt(base_width), which makes it the standard rule at the base shape): muP in another form.
// Attention as in muP.
#include "scaling/parametrisations/mup_rules.h"
#include "scaling/parametrisations/width_rule.h"

namespace rung {
namespace {

constexpr WidthRule rule{{0.0, 0.0, 1.0}, {0.5, 0.0, 1.5}, {1.0, 0.0, 1.0}, true};

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  return with_heads(width_factors(rule, tensor, dims, alignment_of(alignment, Alignment::full)),
                    tensor, dims, alignment);
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return mup_block(config, dims, 1.0);
}

}  // namespace

extern const Parametrisation mfp_parametrisation;
constinit const Parametrisation mfp_parametrisation{
    "mfp",   "mean field: weights start at 1, logits / fan_in; muP in another form",
    factors, block,
    nullptr, mup_promise};

}  // namespace rung

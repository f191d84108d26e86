// Neural-tangent parametrisation (Jacot et al. 2018; Everett et al. 2024, table 1).
// Exponents of (embedding, hidden, readout):
//   a 0, 1/2, 1/2   b 0, 0, 0   g 1/2, 1, 1/2   c (Adam) full 0, 1/2, 1/2; none 0, 0, 0; global 0
// that is A = fan_in^-1/2 and weights that start at 1: the standard rule shifted by t =
// fan_in^-1/2, and the same training under a scale-free optimizer for full and none.
#include "scaling/parametrisations/width_rule.h"

namespace rung {
namespace {

constexpr WidthRule rule{{0.0, 0.0, 0.5}, {0.5, 0.0, 1.0}, {0.5, 0.0, 0.5}, true};

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  return width_factors(rule, tensor, dims, alignment_of(alignment, Alignment::full));
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return standard_block(config, dims);
}

}  // namespace

extern const Parametrisation ntk_parametrisation;
constinit const Parametrisation ntk_parametrisation{
    "ntk",   "weights start at 1, outputs / sqrt(fan_in); the standard rule in another form",
    factors, block,
    nullptr, {.width = true}};

}  // namespace rung

// CompleteP (arXiv 2505.01618) with alpha = 1: muP over width, and over depth with m_L = depth /
// base_depth
//   residual branches * m_L^-alpha; LR of blocks * m_L^(alpha - 1), which is 1; epsilon of blocks *
//   m_L^-alpha.
// lambda * m at LR / m is a factor of 1 for a decay that is independent of the LR.
#include "scaling/parametrisations/mup_rules.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  if (alignment_of(alignment, Alignment::full) != Alignment::full)
    fail_usage("[completep] alignment is full alone. Received {}.", alignment);
  Factors f = mup_factors(tensor, dims, "full");
  if (tensor.layer >= 0) f.epsilon /= ratio(dims.depth, dims.base_depth);
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return mup_block(config, dims, 1.0 / ratio(dims.depth, dims.base_depth));
}

}  // namespace

extern const Parametrisation completep_parametrisation;
constinit const Parametrisation completep_parametrisation{
    "completep", "muP over width, residual branches / depth: one LR for all widths and depths",
    factors, block};

}  // namespace rung

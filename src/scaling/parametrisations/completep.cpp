// CompleteP (arXiv 2505.01618): alpha = 1 of depth_rule.h. Residual branches / m_L, one LR for all
// depths, epsilon of blocks / (m m_L). lambda * m at LR / m is a factor of 1 for a decay that is
// independent of the LR.
#include "scaling/parametrisations/depth_rule.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  want_full("completep", alignment);
  Factors f = mup_factors(tensor, dims, alignment);
  scale_with_depth(f, tensor, dims, 1.0);
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return mup_block(config, dims, 1.0 / ratio(dims.depth, dims.base_depth));
}

}  // namespace

extern const Parametrisation completep_parametrisation;
constinit const Parametrisation completep_parametrisation{
    "completep", "muP over width, residual branches / depth: one LR for all widths and depths",
    factors,     block,
    nullptr,     depth_promise(0.0)};

}  // namespace rung

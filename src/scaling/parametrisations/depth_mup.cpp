// Depth-muP (Tensor Programs VI, arXiv 2310.02244): alpha = 1/2 of depth_rule.h. Residual branches
// and the Adam LR of blocks / sqrt(m_L), epsilon of blocks / (m sqrt(m_L)).
#include "scaling/parametrisations/depth_rule.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  want_full("depth-mup", alignment);
  Factors f = mup_factors(tensor, dims, alignment);
  scale_with_depth(f, tensor, dims, 0.5);
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return mup_block(config, dims, 1.0 / std::sqrt(ratio(dims.depth, dims.base_depth)));
}

}  // namespace

extern const Parametrisation depth_mup_parametrisation;
constinit const Parametrisation depth_mup_parametrisation{
    "depth-mup", "muP over width; residual branches and their LR / sqrt(depth)",
    factors,     block,
    nullptr,     depth_promise(0.5)};

}  // namespace rung

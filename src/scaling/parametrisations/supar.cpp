// SuPar for static sparsity (Cerebras, arXiv 2405.15743): muP in which a hidden unit sees rho
// fan_in inputs, so that with m = width / base_width
//   hidden B = (fan_in rho)^-1/2, Adam LR 1 / (m rho)
// and everything else is muP's. A step proportional to the gradient (SGD) needs C / rho as well:
// the gradient of a weight that is kept does not depend on rho, while rho fan_in of them act.
#include "scaling/parametrisations/mup_rules.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  Factors f = mup_factors(tensor, dims, alignment);
  if (tensor.role != Role::hidden) return f;
  f.B /= std::sqrt(dims.density);
  // Parameter scaling brings the weight's rho^-1/2 itself.
  const bool scaled = dims.conventions.update == Update::parameter_scaled;
  if (alignment != "global") f.C /= scaled ? std::sqrt(dims.density) : dims.density;
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return mup_block(config, dims, 1.0);
}

}  // namespace

extern const Parametrisation supar_parametrisation;
constinit const Parametrisation supar_parametrisation{
    "supar", "muP for hidden matrices of density rho: fan_in rho in init and LR",
    factors, block,
    nullptr, mup_promise};

}  // namespace rung

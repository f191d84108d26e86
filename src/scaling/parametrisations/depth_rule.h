// muP's factors at depth m_L = depth / base_depth times the base's (arXiv 2505.01618, table 1):
// residual branches * m_L^-alpha; inside blocks LR * m_L^(alpha - 1) and epsilon * m_L^-alpha, as
// the gradient. alpha = 1 is CompleteP, alpha = 1/2 depth-muP (Tensor Programs VI, arXiv
// 2310.02244). Steps proportional to the gradient (SGD) have its m_L^-alpha already: LR * m_L^(2
// alpha - 1).
#pragma once
#include "scaling/parametrisations/mup_rules.h"

namespace rung {

inline void scale_with_depth(Factors& f, const TensorSpec& tensor, const Dims& dims, double alpha) {
  if (tensor.layer < 0) return;
  const double m = ratio(dims.depth, dims.base_depth);
  const bool sgd = dims.conventions.update == Update::sgd;
  f.C *= std::pow(m, sgd ? 2.0 * alpha - 1.0 : alpha - 1.0);
  f.epsilon *= std::pow(m, -alpha);
}

}  // namespace rung

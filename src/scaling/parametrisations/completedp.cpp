// Complete(d)P (arXiv 2512.22382): CompleteP in the form of muP's table 3 (readout init and LR / m,
// epsilon 1), with m_B = batch_tokens and m_D = tokens over those of the base:
//   LR * sqrt(m_B / m_D)   lambda * sqrt(m_B / m_D)   epsilon * sqrt(m_D / m_B)
//   1 - beta1 and 1 - beta2 * m_B / m_D
// lambda times LR is what weights lose in a step, so an independent decay has m_B / m_D: over a run
// of m_D / m_B times the steps they lose as much. These are Adam's rules (its square-root batch
// rule); other updates are refused. Epsilon of QK-norm's gains is m_L^-1 with heads of a fixed size
// (mup_rules.h). base_batch_tokens and base_tokens of 0 are the run's own: no factor.
#include "scaling/parametrisations/depth_rule.h"

namespace rung {
namespace {

double batch_over_tokens(const Dims& dims) {
  const double batch =
      dims.base_batch_tokens > 0 ? ratio(dims.batch_tokens, dims.base_batch_tokens) : 1.0;
  const double tokens = dims.base_tokens > 0 ? ratio(dims.tokens, dims.base_tokens) : 1.0;
  return batch / tokens;
}

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  want_full("completedp", alignment);
  if (dims.conventions.update != Update::adam)
    fail_usage("[completedp] Its batch and token rules are Adam's. Set train.optimizer=adamw.");
  if (dims.conventions.decay == DecayRule::coupled ||
      dims.conventions.decay == DecayRule::timescale)
    fail_usage(
        "[completedp] It scales the decay with batch and tokens itself. Set "
        "train.decay_rule=independent.");
  Factors f = mup_table3_factors(tensor, dims, alignment);
  scale_with_depth(f, tensor, dims, 1.0);
  const double r = batch_over_tokens(dims);
  f.C *= std::sqrt(r);
  f.decay *= r;
  f.epsilon /= std::sqrt(r);
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  BlockFactors b = mup_block(config, dims, 1.0 / ratio(dims.depth, dims.base_depth));
  b.beta = batch_over_tokens(dims);
  return b;
}

}  // namespace

extern const Parametrisation completedp_parametrisation;
constinit const Parametrisation completedp_parametrisation{
    "completedp", "CompleteP, with LR, decay, betas and epsilon that follow batch and tokens",
    factors,      block,
    nullptr,      depth_promise(0.0)};

}  // namespace rung

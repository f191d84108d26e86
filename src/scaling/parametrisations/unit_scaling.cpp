// Unit Scaling (Blake et al. 2023, arXiv 2303.11257): the ops of umup.cpp with the standard rule's
// growth over width. The paper sets multipliers such that activations, weights and gradients start
// at scale 1, for narrow formats without loss scaling; learning rates it leaves to tuning, one for
// all tensors.
//   embedding    A 1, weight gradient sqrt(vocabulary / batch_tokens)
//   hidden       A what `constraint` chooses of fan_in^-1/2 and fan_out^-1/2 (gmean in the paper)
//   readout      A fan_in^-1/2, backward fan_out^-1/2
//   gain, bias, channel  1; weight gradients of all but embeddings batch_tokens^-1/2
//   attention    q.k / sqrt(d)
//   C 1 (global, none); full: fan_in^-1/2 for hidden matrices and the readout, which is the
//   standard rule's 1 / m in this form (A C fan_in = 1)
// Weights and gradients are at scale 1: SGD and parameter scaling have Adam's factors. The residual
// stream is weighted by u-muP's rule; the paper has a running mean or a fixed tau.
#include "scaling/parametrisations/unit_rules.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  const bool full = alignment_of(alignment, Alignment::global) == Alignment::full;
  const double aligned = full ? 1.0 / root(tensor.fan_in) : 1.0;
  Factors f;
  switch (tensor.role) {
    case Role::embedding:
      return unit_embedding(tensor, dims);
    case Role::hidden:
      f = unit_hidden(tensor, dims);
      f.C = aligned;
      break;
    case Role::readout:
      f = unit_map(tensor, matmul_factor(tensor.fan_in, tensor.fan_out, dims.batch_tokens));
      f.C = aligned;
      break;
    case Role::router:  // its input has other paths
      f = plain(tensor, 1.0 / root(tensor.fan_in), 1.0);
      f.A_weight = 1.0 / root(dims.batch_tokens);
      f.C = aligned;
      break;
    case Role::tied:  // its two gradients keep their true ratio
      return plain(tensor, 1.0 / root(dims.width), 1.0);
    case Role::gain:
    case Role::bias:
    case Role::channel:
      return unit_vector(tensor, dims);
    case Role::lora_a:
    case Role::lora_b:
      fail_usage("[unit-scaling] No rule for adapters is known. Received tensor {}.", tensor.name);
  }
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return unit_block(config, dims, config.multipliers.alpha_attn * root(dims.head_dim));
}

}  // namespace

extern const Parametrisation unit_scaling_parametrisation;
constinit const Parametrisation unit_scaling_parametrisation{
    "unit-scaling", "unit-scaled ops with the standard rule's growth; one learning rate",
    factors,        block,
    nullptr,        {.width = true, .full_by_default = false}};

}  // namespace rung

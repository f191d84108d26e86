// Unit-scaled muP (arXiv 2407.17465): all weights start with B = 1, so that no base shape is
// needed.
//   embedding   A 1; weight gradient sqrt(vocabulary / batch_tokens); C width^-1/2
//   hidden      A fan_in^-1/2 both ways (what `constraint` chooses); C fan_in^-1/2
//   readout     A 1 / fan_in forward, fan_out^-1/2 backward; C 1
//   gain, bias  A 1 both ways; C 1
//   channel     as a gain, but C width^-1/2, an embedding's (derived: both have a fixed fan_in)
// Weight gradients of all but embeddings and tied matrices batch_tokens^-1/2.
// C * depth^-1/2 inside the residual stack; depth is the number of blocks, as in the unit-scaling
// package (2 * blocks elsewhere). Weight decay is independent: factor 1. Split factors change
// gradients by constants alone, which Adam cancels while epsilon is small. A tied matrix adds the
// gradients of two uses, which must keep their true ratio: plain differentiation. A router is a
// readout inside the stack, where its input's gradient meets others and must be the true one.
// Weights and gradients are at scale 1, so that SGD (the package's, without constraint on the
// readout) and parameter scaling have Adam's factors.
#include "config/pattern.h"
#include "scaling/parametrisations/unit_rules.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  want_full("umup", alignment);
  Factors f;
  switch (tensor.role) {
    case Role::embedding:
      f = unit_embedding(tensor, dims);
      f.C = 1.0 / root(tensor.fan_out);
      break;
    case Role::hidden:
      f = unit_hidden(tensor, dims);
      f.C = 1.0 / root(tensor.fan_in);
      break;
    case Role::readout:
      f = unit_map(tensor, readout_factor(tensor.fan_in, tensor.fan_out, dims.batch_tokens));
      break;
    case Role::router:
      f = plain(tensor, 1.0 / static_cast<double>(tensor.fan_in), 1.0);
      f.A_weight = 1.0 / root(dims.batch_tokens);
      break;
    case Role::tied:
      f = plain(tensor, 1.0 / static_cast<double>(dims.width), 1.0);
      f.C = 1.0 / root(dims.width);
      break;
    case Role::gain:
    case Role::bias:
      f = unit_vector(tensor, dims);
      break;
    case Role::channel:
      f = unit_vector(tensor, dims);
      f.C = 1.0 / root(dims.width);
      break;
    case Role::lora_a:
    case Role::lora_b:
      fail_usage("[umup] No rule for adapters is known. Received tensor {}.", tensor.name);
  }
  if (tensor.layer >= 0) f.C /= root(dims.depth);
  return f;
}

// muP's in another form, but embeddings move less in wide models (their C).
constexpr Promise promise{.width = true,
                          .depth = true,
                          .logits = {-0.5, -0.5},
                          .scores = -0.5,
                          .embedding_step = -0.5,
                          .block_step = -0.5};

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return unit_block(config, dims, config.multipliers.alpha_attn);
}

}  // namespace

BlockFactors unit_block(const RunConfig& config, const Dims& dims, double attention_m) {
  const MultiplierConfig& m = config.multipliers;
  BlockFactors b;
  b.attention_logit = attention_logit_factor(attention_m, dims.head_dim);
  const double attention = attention_factor(attention_m, dims.head_dim, dims.context, true);
  b.attention_output = {attention, attention};
  b.ffn_slope = m.alpha_ffn;
  for (const std::string& ffn : ffns_by_layer(config.model))
    b.ffn.push_back(ffn_factor(ffn, config.model, m.alpha_ffn, dims.constraint));
  b.embedding = m.alpha_emb;
  b.loss_logit = m.alpha_loss;
  // The rule is for the gradient of the sum with respect to the logits before alpha_loss, which the
  // reference multiplies forward alone; here the gradient of the mean passes alpha_loss as well.
  b.loss_gradient =
      cross_entropy_factor(dims.vocabulary) * static_cast<double>(dims.batch_tokens) / m.alpha_loss;
  b.residual = residual_factors(branches_of(config.model), m.alpha_res, m.alpha_ratio);
  return b;
}

extern const Parametrisation umup_parametrisation;
constinit const Parametrisation umup_parametrisation{
    "umup", "unit-scaled muP: everything starts at scale 1; no base shape", factors, block, nullptr,
    promise};

}  // namespace rung

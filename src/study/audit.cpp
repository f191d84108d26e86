#include "study/audit.h"

#include "model/decoder.h"
#include "scaling/count.h"

namespace rung {
namespace {

Json op_json(const OpFactor& factor) {
  return {{"forward", factor.forward}, {"backward", factor.backward}};
}

// The same for all tensors of a block; multipliers without weights.
Json multipliers_json(const BlockFactors& block) {
  Json residual = Json::array();
  for (const ResidualFactor& r : block.residual)
    residual.push_back({{"skip", r.skip}, {"branch", r.branch}});
  Json ffns = Json::array();
  for (const FfnFactor& f : block.ffn)
    ffns.push_back({{"activation", op_json(f.activation)}, {"mixture", f.mixture}, {"sum", f.sum}});
  return {{"attention_logit", block.attention_logit},
          {"attention_output", op_json(block.attention_output)},
          {"ffn_slope", block.ffn_slope},
          {"ffn", ffns},
          {"embedding", block.embedding},
          {"loss_logit", block.loss_logit},
          {"loss_gradient", block.loss_gradient},
          {"beta", block.beta},
          {"residual", residual}};
}

Json tensor_json(const TensorSpec& tensor, const Factors& f) {
  Json uses = Json::array();
  if (tensor.role == Role::tied) uses.push_back({{"use", "embedding"}, {"A", 1.0}});
  const std::string own =
      tensor.role == Role::tied ? "readout" : std::string(role_name(tensor.role));
  uses.push_back({{"use", own}, {"A", f.A}});
  return {{"name", tensor.name},
          {"role", role_name(tensor.role)},
          {"shape", tensor.shape},
          {"fan_in", tensor.fan_in},
          {"fan_out", tensor.fan_out},
          {"A", f.A},
          {"A_input", f.A_input},
          {"A_weight", f.A_weight},
          {"B", f.B},
          {"C", f.C},
          {"decay", f.decay},
          {"epsilon", f.epsilon},
          {"frozen", tensor.frozen},
          {"uses", uses}};
}

}  // namespace

Json audit_json(const RunConfig& config, int64_t vocabulary) {
  const Decoder decoder = make_decoder(config, vocabulary);
  const Counts counts = count(decoder.layout.tensors);
  const int64_t context = config.model.context;
  Json tensors = Json::array();
  for (size_t i = 0; i < decoder.layout.tensors.size(); ++i)
    tensors.push_back(tensor_json(decoder.layout.tensors[i], decoder.layout.factors[i]));
  return {{"parametrisation", config.parametrisation},
          {"alignment", config.alignment},
          {"width", config.model.width},
          {"depth", config.model.depth},
          {"vocabulary", vocabulary},
          {"N", counts.N},
          {"N_total", counts.N_total},
          {"N_active", counts.N_active},
          {"flops_per_token", training_flops(decoder, context) / static_cast<double>(context)},
          {"tensors", tensors},
          {"multipliers", multipliers_json(decoder.block)}};
}

}  // namespace rung

// Mixtral (Jiang et al. 2024): Llama with a mixture of SwiGLU experts, gates a softmax over the
// chosen.
#include "model/interchange/decoder_fields.h"
#include "model/interchange/families.h"

namespace rung {
namespace {

RunConfig read_mixtral(Fields& f) {
  f.whole("num_key_value_heads");  // absent, it is not the number of heads
  RunConfig config = read_decoder(f, "hidden_act", false);
  ModelConfig& m = config.model;
  if (!f.has("rms_norm_eps")) m.norm_epsilon = 1e-5;
  if (m.ffn != "swiglu") f.refuse_field("hidden_act", "is supported as silu only");
  f.expect("attention_bias", false);
  f.harmless({"router_aux_loss_coef", "router_jitter_noise", "output_router_logits"});
  m.ffn = "moe";
  m.moe_experts = f.whole("num_local_experts", 8);
  m.moe_top_k = f.whole("num_experts_per_tok", 2);
  m.moe_gates = "chosen";
  m.window = f.whole("sliding_window", 0);
  read_rope(f, m, 1e6);
  return config;
}

Json write_mixtral(const RunConfig& config) {
  const ModelConfig& m = config.model;
  Json json = write_decoder(config, "hidden_act");
  json.erase("attention_bias");
  json["num_local_experts"] = m.moe_experts;
  json["num_experts_per_tok"] = m.moe_top_k;
  json["sliding_window"] = m.window > 0 ? Json(m.window) : Json();
  write_rope(m, json);
  return json;
}

std::vector<TensorMap> mixtral_tensors(const ModelConfig& model, const Json&) {
  return decoder_tensors(model, {});
}

}  // namespace

constinit const Family mixtral_family{
    "mixtral",    "MixtralForCausalLM",    "Mixtral: Llama with a mixture of experts",
    read_mixtral, write_mixtral,           mixtral_tensors,
    "model.",     {".rotary_emb.inv_freq"}};

}  // namespace rung

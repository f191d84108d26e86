// Llama 1 to 3 (Touvron et al. 2023; Grattafiori et al. 2024), and Mistral (Jiang et al. 2023),
// which is Llama with a window in every layer.
#include "model/interchange/decoder_fields.h"
#include "model/interchange/families.h"

namespace rung {
namespace {

RunConfig read_llama(Fields& f) {
  RunConfig config = read_decoder(f, "hidden_act", false);
  config.model.ffn_bias = f.truth("mlp_bias", false);
  read_rope(f, config.model, 10000.0);
  return config;
}

Json write_llama(const RunConfig& config) {
  Json json = write_decoder(config, "hidden_act");
  json["mlp_bias"] = config.model.ffn_bias;
  write_rope(config.model, json);
  return json;
}

RunConfig read_mistral(Fields& f) {
  f.whole("num_key_value_heads");  // absent, it is not the number of heads
  RunConfig config = read_decoder(f, "hidden_act", false);
  f.expect("attention_bias", false);
  // transformers' default is 4096; folders without a window say null.
  config.model.window = f.whole("sliding_window", f.names("sliding_window") ? 0 : 4096);
  read_rope(f, config.model, 10000.0);
  return config;
}

Json write_mistral(const RunConfig& config) {
  Json json = write_decoder(config, "hidden_act");
  json.erase("attention_bias");
  json["sliding_window"] = config.model.window > 0 ? Json(config.model.window) : Json();
  write_rope(config.model, json);
  return json;
}

std::vector<TensorMap> llama_tensors(const ModelConfig& model, const Json&) {
  return decoder_tensors(model, {});
}

}  // namespace

constinit const Family llama_family{
    "llama",       "LlamaForCausalLM", "Llama 1 to 3: GQA, tied or not", read_llama, write_llama,
    llama_tensors, "model.",           {".rotary_emb.inv_freq"}};
constinit const Family mistral_family{
    "mistral",    "MistralForCausalLM",    "Mistral: Llama with windows",
    read_mistral, write_mistral,           llama_tensors,
    "model.",     {".rotary_emb.inv_freq"}};

}  // namespace rung

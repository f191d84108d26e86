// OLMo 2 (OLMo team 2025): norms behind branches, QK-norm over the whole width.
#include "model/interchange/decoder_fields.h"
#include "model/interchange/families.h"

namespace rung {
namespace {

RunConfig read_olmo2(Fields& f) {
  RunConfig config = read_decoder(f, "hidden_act", false);
  ModelConfig& m = config.model;
  if (!f.has("rms_norm_eps")) m.norm_epsilon = 1e-5;
  read_rope(f, m, 10000.0);
  m.norm_place = "after";
  m.qk_norm = true;
  m.qk_norm_over = "width";
  return config;
}

Json write_olmo2(const RunConfig& config) {
  Json json = write_decoder(config, "hidden_act");
  json.erase("head_dim");  // always the width over the heads
  write_rope(config.model, json);
  return json;
}

std::vector<TensorMap> olmo2_tensors(const ModelConfig& model, const Json&) {
  return decoder_tensors(
      model, {.mixer_norm = "post_attention_layernorm", .ffn_norm = "post_feedforward_layernorm"});
}

}  // namespace

constinit const Family olmo2_family{"olmo2",
                                    "Olmo2ForCausalLM",
                                    "OLMo 2: norms behind branches",
                                    read_olmo2,
                                    write_olmo2,
                                    olmo2_tensors,
                                    "model.",
                                    {}};

}  // namespace rung

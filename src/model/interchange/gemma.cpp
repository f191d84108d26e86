// Gemma 1 to 3 (Gemma team 2024, 2024, 2025), text only: gains stored less 1, embeddings times
// width^1/2, GeGLU; 2 and 3 with norms on both sides and local layers, 2 with caps, 3 with QK-norm.
#include <cmath>

#include "model/interchange/decoder_fields.h"
#include "model/interchange/families.h"

namespace rung {
namespace {

bool even(int64_t layer, int64_t) {
  return layer % 2 == 0;
}
bool not_last_of(int64_t layer, int64_t period) {
  return (layer + 1) % period != 0;
}

RunConfig read_shared(Fields& f, const std::string& activation) {
  f.whole("num_key_value_heads");  // absent, it is not the number of heads
  RunConfig config = read_decoder(f, activation, true);
  ModelConfig& m = config.model;
  if (!f.has("head_dim")) m.head_dim = 256;
  m.ffn = "geglu";
  config.multipliers.alpha_emb = std::sqrt(static_cast<double>(m.width));
  f.expect("use_bidirectional_attention", false);
  return config;
}

// Configurations of Gemma 1 carry "gelu" in one field and mean the other.
RunConfig read_gemma1(Fields& f) {
  const bool named = f.has("hidden_activation");
  RunConfig config = read_shared(f, named ? "hidden_activation" : "hidden_act");
  if (named) f.harmless({"hidden_act"});
  read_rope(f, config.model, 10000.0);
  return config;
}

Json write_gemma1(const RunConfig& config) {
  Json json = write_decoder(config, "hidden_act");
  json["hidden_activation"] = json["hidden_act"];
  write_rope(config.model, json);
  return json;
}

// What 2 and 3 share.
RunConfig read_sandwich(Fields& f) {
  RunConfig config = read_shared(f, "hidden_activation");
  ModelConfig& m = config.model;
  f.harmless({"hidden_act"});
  m.norm_place = "both";
  const double scalar = f.number("query_pre_attn_scalar", 256.0);
  if (!(scalar > 0.0)) f.refuse_field("query_pre_attn_scalar", "must be positive");
  config.multipliers.alpha_attn = std::sqrt(static_cast<double>(m.head_dim) / scalar);
  m.window = f.whole("sliding_window", 4096);
  return config;
}

// The factor on q.k is query_pre_attn_scalar^-1/2, whole where it can be.
Json write_sandwich(const RunConfig& config) {
  const ModelConfig& m = config.model;
  Json json = write_decoder(config, "hidden_activation");
  const double alpha = config.multipliers.alpha_attn;
  const double scalar = static_cast<double>(m.head_dim) / (alpha * alpha),
               near = std::round(scalar);
  const bool whole = std::abs(scalar - near) < 1e-9 * scalar;
  json["query_pre_attn_scalar"] = whole ? Json(static_cast<int64_t>(near)) : Json(scalar);
  json["sliding_window"] = m.window > 0 ? m.window : m.context;
  write_windows(m, json);
  return json;
}

RunConfig read_gemma2(Fields& f) {
  RunConfig config = read_sandwich(f);
  ModelConfig& m = config.model;
  read_rope(f, m, 10000.0);
  read_windows(f, m, even, 0);
  // Absent fields have these values, a null is no cap.
  m.attention_cap = f.number("attn_logit_softcapping", f.names("attn_logit_softcapping") ? 0 : 50);
  m.logit_cap = f.number("final_logit_softcapping", f.names("final_logit_softcapping") ? 0 : 30);
  return config;
}

Json cap(double value) {
  return value > 0.0 ? Json(value) : Json();
}

Json write_gemma2(const RunConfig& config) {
  Json json = write_sandwich(config);
  write_rope(config.model, json);
  json["attn_logit_softcapping"] = cap(config.model.attention_cap);
  json["final_logit_softcapping"] = cap(config.model.logit_cap);
  return json;
}

RunConfig read_gemma3(Fields& f) {
  RunConfig config = read_sandwich(f);
  ModelConfig& m = config.model;
  m.qk_norm = true;
  m.attention_cap = f.number("attn_logit_softcapping", 0.0);
  m.logit_cap = f.number("final_logit_softcapping", 0.0);
  const int64_t newer = f.whole("_sliding_window_pattern", 6),
                period = f.whole("sliding_window_pattern", newer);
  if (period < 1) f.refuse_field("sliding_window_pattern", "must be positive");
  read_windows(f, m, not_last_of, period);
  double local = f.number("rope_local_base_freq", 10000.0);
  Fields both = f.object("rope_parameters");
  if (both.has("full_attention") || both.has("sliding_attention")) {
    Fields global(Json{{"rope_parameters", both.json("full_attention")}}, "full_attention"),
        near(Json{{"rope_parameters", both.json("sliding_attention")}}, "sliding_attention");
    ModelConfig other;
    read_rope(global, m, 1e6);
    read_rope(near, other, local);
    if (other.rope_scaling != "none")
      f.refuse_field("rope_parameters", "scales local layers, which is not supported");
    local = other.rope_theta;
    both.finish();
  } else {
    read_rope(f, m, 1e6);
  }
  if (m.window > 0) m.rope_theta_local = local;
  return config;
}

Json write_gemma3(const RunConfig& config) {
  const ModelConfig& m = config.model;
  Json json = write_sandwich(config);
  write_rope(m, json);
  json["rope_local_base_freq"] = m.rope_theta_local > 0.0 ? m.rope_theta_local : m.rope_theta;
  json["attn_logit_softcapping"] = cap(m.attention_cap);
  json["final_logit_softcapping"] = cap(m.logit_cap);
  return json;
}

std::vector<TensorMap> tensors_gemma1(const ModelConfig& model, const Json&) {
  return decoder_tensors(model, {.norm_form = Form::plus_one});
}

std::vector<TensorMap> tensors_sandwich(const ModelConfig& model, const Json&) {
  return decoder_tensors(model, {.mixer_norm = "input_layernorm",
                                 .ffn_norm = "pre_feedforward_layernorm",
                                 .mixer_post_norm = "post_attention_layernorm",
                                 .ffn_post_norm = "post_feedforward_layernorm",
                                 .norm_form = Form::plus_one});
}

}  // namespace

constinit const Family gemma1_family{
    "gemma",        "GemmaForCausalLM", "Gemma 1: GeGLU, tied",   read_gemma1, write_gemma1,
    tensors_gemma1, "model.",           {".rotary_emb.inv_freq"}, true};
constinit const Family gemma2_family{"gemma2",
                                     "Gemma2ForCausalLM",
                                     "Gemma 2: norms on both sides, caps",
                                     read_gemma2,
                                     write_gemma2,
                                     tensors_sandwich,
                                     "model.",
                                     {},
                                     true,
                                     true};
constinit const Family gemma3_family{"gemma3_text",
                                     "Gemma3ForCausalLM",
                                     "Gemma 3, text: QK-norm, local and global layers",
                                     read_gemma3,
                                     write_gemma3,
                                     tensors_sandwich,
                                     "model.",
                                     {},
                                     true,
                                     true};

}  // namespace rung

#include "model/interchange/decoder_fields.h"

#include <cmath>

#include "config/pattern.h"
#include "core/error.h"
#include "model/part.h"

namespace rung {
namespace {

// Names, training, text generation and bookkeeping.
void read_harmless(Fields& f) {
  f.bookkeeping();
  f.harmless({"attention_dropout", "pretraining_tp", "cache_implementation",
              "_attn_implementation_autoset"});
  f.expect("is_encoder_decoder", false);
}

}  // namespace

RunConfig read_decoder(Fields& f, const std::string& activation, bool tied_by_default,
                       bool may_be_quantized) {
  RunConfig config;
  ModelConfig& m = config.model;
  read_harmless(f);
  if (!may_be_quantized) f.expect("quantization_config", nullptr);
  config.data.vocabulary = f.whole("vocab_size");
  m.width = f.whole("hidden_size");
  m.depth = f.whole("num_hidden_layers");
  m.heads = f.whole("num_attention_heads");
  m.kv_heads = f.whole("num_key_value_heads", m.heads);
  if (m.width < 1 || m.heads < 1) f.refuse_field("num_attention_heads", "must be positive");
  m.head_dim = f.whole("head_dim", m.width / m.heads);
  m.context = f.whole("max_position_embeddings");
  m.ffn_ratio = static_cast<double>(f.whole("intermediate_size")) / static_cast<double>(m.width);
  m.norm_epsilon = f.number("rms_norm_eps", 1e-6);
  m.tied = f.truth("tie_word_embeddings", tied_by_default);
  m.norm_gain = true;
  m.attention_bias = f.truth("attention_bias", false) ? "all" : "none";
  const std::string kind = f.text(activation, "silu");
  if (kind == "silu")
    m.ffn = "swiglu";
  else if (kind == "gelu_pytorch_tanh" || kind == "gelu_new")
    m.ffn = "geglu";
  else if (kind == "relu2")
    m.ffn = "reglu2";
  else
    f.refuse_field(activation, "is supported as silu, gelu_pytorch_tanh or relu2 only");
  return config;
}

Json write_decoder(const RunConfig& config, const std::string& activation) {
  const ModelConfig& m = config.model;
  return {{"vocab_size", config.data.vocabulary},
          {"hidden_size", m.width},
          {"num_hidden_layers", m.depth},
          {"num_attention_heads", m.heads},
          {"num_key_value_heads", m.kv_heads},
          {"head_dim", m.head_dim},
          {"max_position_embeddings", m.context},
          {"intermediate_size", ffn_width_of(m)},
          {"rms_norm_eps", m.norm_epsilon},
          {"tie_word_embeddings", m.tied},
          {"attention_bias", m.attention_bias != "none"},
          {activation, m.ffn == "geglu"    ? "gelu_pytorch_tanh"
                       : m.ffn == "reglu2" ? "relu2"
                                           : "silu"}};
}

namespace {

// Mixtral's names: w1 the gate, w3 the other input map, w2 the output map of an expert.
void mixture(const ModelConfig& m, const std::string& ours, const std::string& theirs,
             std::vector<TensorMap>& maps) {
  const int64_t inner = ffn_width_of(m);
  maps.push_back({ours + "router", theirs + "gate.weight"});
  for (int64_t e = 0; e < m.moe_experts; ++e) {
    const std::string a = fmt::format("{}experts.{}.", ours, e),
                      b = fmt::format("{}experts.{}.", theirs, e);
    maps.push_back({a + "gate_up", b + "w1.weight", 0, inner});
    maps.push_back({a + "gate_up", b + "w3.weight", inner, inner});
    maps.push_back({a + "down", b + "w2.weight"});
  }
}

}  // namespace

std::vector<TensorMap> decoder_tensors(const ModelConfig& m, const DecoderNames& names) {
  const int64_t q = heads_of(m) * head_dim_of(m), kv = kv_heads_of(m) * head_dim_of(m),
                inner = ffn_width_of(m);
  std::vector<TensorMap> maps{{"embedding", "model.embed_tokens.weight"}};
  for (int64_t layer = 0; layer < m.depth; ++layer) {
    const std::string ours = fmt::format("blocks.{}.", layer),
                      theirs = fmt::format("model.layers.{}.", layer);
    const auto add = [&](const std::string& a, const std::string& b, int64_t first = 0,
                         int64_t rows = 0) {
      maps.push_back({ours + a, theirs + b, first, rows});
    };
    const auto norm = [&](const std::string& a, const std::string& b) {
      if (!b.empty()) maps.push_back({ours + a, theirs + b + ".weight", 0, 0, names.norm_form});
    };
    const auto qkv = [&](const std::string& a, const std::string& b) {
      add(a, "self_attn.q_proj." + b, 0, q);
      add(a, "self_attn.k_proj." + b, q, kv);
      add(a, "self_attn.v_proj." + b, q + kv, kv);
    };
    const auto ffn = [&](const std::string& a, const std::string& b) {
      add("ffn.gate_up" + a, "mlp.gate_proj." + b, 0, inner);
      add("ffn.gate_up" + a, "mlp.up_proj." + b, inner, inner);
      add("ffn.down" + a, "mlp.down_proj." + b);
    };
    norm("mixer_norm", names.mixer_norm);
    norm("mixer_post_norm", names.mixer_post_norm);
    norm("ffn_norm", names.ffn_norm);
    norm("ffn_post_norm", names.ffn_post_norm);
    qkv("mixer.qkv", "weight");
    add("mixer.out", "self_attn.o_proj.weight");
    if (m.attention_bias != "none") qkv("mixer.qkv_bias", "bias");
    if (m.attention_bias == "all") add("mixer.out_bias", "self_attn.o_proj.bias");
    if (m.qk_norm) norm("mixer.q_norm", "self_attn.q_norm");
    if (m.qk_norm) norm("mixer.k_norm", "self_attn.k_norm");
    if (m.ffn == "moe") {
      mixture(m, ours + "ffn.", theirs + "block_sparse_moe.", maps);
      continue;
    }
    ffn("", "weight");
    if (m.ffn_bias) ffn("_bias", "bias");
  }
  maps.push_back({"final_norm", "model.norm.weight", 0, 0, names.norm_form});
  if (!m.tied) maps.push_back({"readout", "lm_head.weight"});
  return maps;
}

namespace {

// rope_type, factor and what else a scaling has.
void read_scaling(Fields f, ModelConfig& model) {
  const std::string old = f.text("type", "default"), kind = f.text("rope_type", old);
  f.harmless({"rope_theta"});
  f.expect("partial_rotary_factor", 1.0);
  if (kind != "default" && kind != "linear" && kind != "llama3")
    f.refuse_field("rope_type", "is supported as default, linear or llama3 only");
  if (kind != "default") {
    model.rope_scaling = kind;
    model.rope_factor = f.number("factor", 1.0);
  }
  if (kind == "llama3") {
    model.rope_low = f.number("low_freq_factor", 1.0);
    model.rope_high = f.number("high_freq_factor", 4.0);
    model.rope_original = f.whole("original_max_position_embeddings");
  }
  f.finish();
}

}  // namespace

void read_rope(Fields& f, ModelConfig& model, double theta) {
  Fields parameters = f.object("rope_parameters");
  model.rope_theta = f.number("rope_theta", parameters.number("rope_theta", theta));
  if (f.has("rope_parameters")) read_scaling(parameters, model);
  Fields scaling = f.object("rope_scaling");
  if (f.has("rope_scaling")) read_scaling(scaling, model);
}

void write_rope(const ModelConfig& m, Json& json) {
  json["rope_theta"] = m.rope_theta;
  if (m.rope_scaling == "none") return;
  Json scaling = {{"rope_type", m.rope_scaling}, {"factor", m.rope_factor}};
  if (m.rope_scaling == "llama3") {
    scaling["low_freq_factor"] = m.rope_low;
    scaling["high_freq_factor"] = m.rope_high;
    scaling["original_max_position_embeddings"] = m.rope_original;
  }
  json["rope_scaling"] = scaling;
}

namespace {

// The shortest list that repeats (and is cut) to these layers, in model.windows' words.
std::string windows_text(const std::vector<bool>& local) {
  size_t period = 1;
  while (
      !std::equal(local.begin() + static_cast<std::ptrdiff_t>(period), local.end(), local.begin()))
    ++period;
  std::string text;
  for (size_t at = 0; at < period;) {
    size_t end = at;
    while (end < period && local[end] == local[at]) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", local[at] ? "local" : "global");
    if (end - at > 1) text += fmt::format(" x{}", end - at);
    at = end;
  }
  return text;
}

}  // namespace

void read_windows(Fields& f, ModelConfig& model, bool (*is_local)(int64_t, int64_t), int64_t n) {
  std::vector<bool> local;
  const std::vector<std::string> types = f.texts("layer_types");
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      f.refuse_field("layer_types", "holds full_attention and sliding_attention only");
    local.push_back(type == "sliding_attention");
  }
  if (types.empty())
    for (int64_t layer = 0; layer < model.depth; ++layer) local.push_back(is_local(layer, n));
  if (static_cast<int64_t>(local.size()) != model.depth)
    f.refuse_field("layer_types", "must have an entry for each layer");
  if (std::find(local.begin(), local.end(), true) == local.end()) {
    model.window = 0;
    return;
  }
  if (std::find(local.begin(), local.end(), false) != local.end())
    model.windows = windows_text(local);
}

void write_windows(const ModelConfig& model, Json& json) {
  Json types = Json::array();
  for (const int64_t window : windows_by_layer(model))
    types.push_back(window > 0 ? "sliding_attention" : "full_attention");
  json["layer_types"] = types;
}

}  // namespace rung

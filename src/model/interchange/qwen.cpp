// Qwen 2 (Yang et al. 2024: biases on q, k and v) and Qwen 3 (Yang et al. 2025: QK-norm a head).
#include "model/interchange/decoder_fields.h"
#include "model/interchange/families.h"

namespace rung {
namespace {

bool behind(int64_t layer, int64_t first) {
  return layer >= first;
}

RunConfig read_qwen(Fields& f) {
  f.whole("num_key_value_heads");  // absent, it is not the number of heads
  RunConfig config = read_decoder(f, "hidden_act", false);
  ModelConfig& m = config.model;
  read_rope(f, m, 10000.0);
  const bool local = f.truth("use_sliding_window", false);
  const int64_t window = f.whole("sliding_window", 0);
  const int64_t first = f.whole("max_window_layers", 28);
  if (local && window < 1) f.refuse_field("sliding_window", "must be positive");
  m.window = local ? window : 0;
  read_windows(f, m, behind, m.window > 0 ? first : m.depth);
  return config;
}

Json write_qwen(const RunConfig& config) {
  const ModelConfig& m = config.model;
  Json json = write_decoder(config, "hidden_act");
  write_rope(m, json);
  json["use_sliding_window"] = m.window > 0;
  if (m.window > 0) json["sliding_window"] = m.window;
  write_windows(m, json);
  return json;
}

RunConfig read_qwen2(Fields& f) {
  RunConfig config = read_qwen(f);
  f.expect("attention_bias", true);
  config.model.attention_bias = "qkv";
  return config;
}

Json write_qwen2(const RunConfig& config) {
  Json json = write_qwen(config);
  json.erase("attention_bias");
  json.erase("head_dim");  // always the width over the heads
  return json;
}

RunConfig read_qwen3(Fields& f) {
  RunConfig config = read_qwen(f);
  if (!f.has("head_dim")) config.model.head_dim = 128;
  config.model.qk_norm = true;
  return config;
}

std::vector<TensorMap> qwen_tensors(const ModelConfig& model, const Json&) {
  return decoder_tensors(model, {});
}

}  // namespace

constinit const Family qwen2_family{
    "qwen2",      "Qwen2ForCausalLM", "Qwen 2: biases on q, k and v", read_qwen2, write_qwen2,
    qwen_tensors, "model.",           {".rotary_emb.inv_freq"}};
constinit const Family qwen3_family{"qwen3",
                                    "Qwen3ForCausalLM",
                                    "Qwen 3: QK-norm a head",
                                    read_qwen3,
                                    write_qwen,
                                    qwen_tensors,
                                    "model.",
                                    {}};

}  // namespace rung

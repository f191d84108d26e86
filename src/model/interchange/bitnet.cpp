// BitNet b1.58 2B4T (Ma et al. 2025): Llama with norms before the output maps, a gated ReLU^2 and
// ternary maps, which the norms around them feed. Maps are held in full precision and rounded at
// use (quantization_mode online), as codes with a scale that multiplies (offline), or as codes with
// one that divides (linear_class bitlinear); without a quantization_config they are dense.
#include "model/interchange/decoder_fields.h"
#include "model/interchange/families.h"
#include "model/part.h"

namespace rung {
namespace {

// How a folder holds maps.
enum class MapForm { dense, online, times, over };

MapForm form_of(const Json& quantization) {
  if (!quantization.is_object()) return MapForm::dense;
  if (quantization.value("linear_class", "bitlinear") == "bitlinear") return MapForm::over;
  return quantization.value("quantization_mode", "offline") == "online" ? MapForm::online
                                                                        : MapForm::times;
}

void read_quantization(Fields f) {
  f.expect("quant_method", "bitnet");
  f.expect("use_rms_norm", false);
  f.harmless({"rms_norm_eps"});  // of use_rms_norm
  const std::string kind = f.text("linear_class", "bitlinear"),
                    mode = f.text("quantization_mode", "offline");
  if (kind != "bitlinear" && kind != "autobitlinear")
    f.refuse_field("linear_class", "is supported as bitlinear or autobitlinear only");
  if (mode != "online" && mode != "offline")
    f.refuse_field("quantization_mode", "is supported as online or offline only");
  for (const std::string& name : f.texts("modules_to_not_convert"))
    if (name != "lm_head")
      f.refuse_field("modules_to_not_convert",
                     "is supported as lm_head alone, which is the default");
  f.finish();
}

RunConfig read_bitnet(Fields& f) {
  f.whole("num_key_value_heads");  // absent, it is not the number of heads
  RunConfig config = read_decoder(f, "hidden_act", false, true);
  ModelConfig& m = config.model;
  if (!f.has("hidden_act")) m.ffn = "reglu2";
  if (!f.has("rms_norm_eps")) m.norm_epsilon = 1e-5;
  if (m.heads * m.head_dim != m.width)
    f.refuse_field("head_dim", "times num_attention_heads must be hidden_size");
  f.harmless({"auto_map"});  // the same model as code
  m.sub_norm = true;
  read_rope(f, m, 500000.0);
  const Json quantization = f.json("quantization_config");
  const MapForm form = form_of(quantization);
  if (form == MapForm::dense) return config;
  read_quantization(f.object("quantization_config"));
  // transformers multiplies biases by the scale as well.
  if (form == MapForm::times) f.expect("attention_bias", false);
  m.linear = "ternary";
  return config;
}

Json write_bitnet(const RunConfig& config) {
  const ModelConfig& m = config.model;
  Json json = write_decoder(config, "hidden_act");
  write_rope(m, json);
  if (m.linear != "dense")
    json["quantization_config"] = {{"quant_method", "bitnet"},
                                   {"linear_class", "autobitlinear"},
                                   {"quantization_mode", "online"}};
  return json;
}

std::vector<TensorMap> bitnet_tensors(const ModelConfig& m, const Json& config) {
  std::vector<TensorMap> maps = decoder_tensors(m, {});
  for (int64_t layer = 0; layer < m.depth; ++layer) {
    const std::string ours = fmt::format("blocks.{}.", layer),
                      theirs = fmt::format("model.layers.{}.", layer);
    maps.push_back({ours + "mixer.sub_norm", theirs + "self_attn.attn_sub_norm.weight"});
    maps.push_back({ours + "ffn.sub_norm", theirs + "mlp.ffn_sub_norm.weight"});
  }
  const MapForm form = form_of(config.value("quantization_config", Json()));
  if (form != MapForm::times && form != MapForm::over) return maps;
  for (TensorMap& map : maps)
    if (map.theirs.ends_with("_proj.weight"))
      map.form = form == MapForm::times ? Form::codes : Form::codes_over;
  return maps;
}

bool pack_bitnet(Json& config) {
  if (!config.contains("quantization_config")) return false;
  config["quantization_config"]["quantization_mode"] = "offline";
  // The other class multiplies biases by the scale as well.
  if (config.value("attention_bias", false))
    config["quantization_config"]["linear_class"] = "bitlinear";
  return true;
}

}  // namespace

constinit const Family bitnet_family{.model_type = "bitnet",
                                     .architecture = "BitNetForCausalLM",
                                     .summary = "BitNet b1.58 2B4T: ternary maps between norms",
                                     .read = read_bitnet,
                                     .write = write_bitnet,
                                     .tensors = bitnet_tensors,
                                     .prefix = "model.",
                                     .unused = {".rotary_emb.inv_freq"},
                                     .pack = pack_bitnet};

}  // namespace rung

// What the config.json of most families of decoders share.
#pragma once
#include "model/interchange/family.h"

namespace rung {

// Names of the norms in a block; empty: the family has no such norm.
struct DecoderNames {
  std::string mixer_norm = "input_layernorm", ffn_norm = "post_attention_layernorm";
  std::string mixer_post_norm, ffn_post_norm;
  Form norm_form = Form::same;
};

// Sizes, heads, ffn, epsilon, tying, RoPE, and the fields that say nothing of the computation.
// `activation`: the field that names it. A quantization_config is refused unless the family reads
// it.
RunConfig read_decoder(Fields& fields, const std::string& activation, bool tied_by_default,
                       bool may_be_quantized = false);
Json write_decoder(const RunConfig& config, const std::string& activation);
// Tensors with separate q, k, v, gate and up, as Llama's.
std::vector<TensorMap> decoder_tensors(const ModelConfig& model, const DecoderNames& names);

// rope_theta with rope_scaling, or both in rope_parameters (of one kind of layer).
void read_rope(Fields& fields, ModelConfig& model, double theta);
void write_rope(const ModelConfig& model, Json& json);

// Which layers are local from `layer_types`, or where that is absent from `is_local`.
void read_windows(Fields& fields, ModelConfig& model, bool (*is_local)(int64_t layer, int64_t n),
                  int64_t n);
void write_windows(const ModelConfig& model, Json& json);

}  // namespace rung

// Mamba-2 (Dao & Gu 2024): mixers alone, one input map for what we keep in three. transformers
// normalises the gated output over all of its units, so that one group is what both mean.
#include "model/interchange/families.h"
#include "model/part.h"

namespace rung {
namespace {

RunConfig read_mamba2(Fields& f) {
  f.bookkeeping();
  f.harmless({"residual_in_fp32", "rescale_prenorm_residual", "time_step_rank", "time_step_min",
              "time_step_max", "time_step_floor", "chunk_size", "rms_norm"});
  f.expect("is_encoder_decoder", false);
  f.expect("use_bias", false);
  f.expect("use_conv_bias", true);
  f.expect("hidden_act", "silu");
  f.expect("n_groups", 1);
  f.expect("norm_before_gate", false);
  f.whole("n_groups");  // absent, it is 8
  RunConfig config;
  ModelConfig& m = config.model;
  config.data.vocabulary = f.whole("vocab_size");
  m.width = f.whole("hidden_size");
  m.depth = f.whole("num_hidden_layers");
  m.ssm_state = f.whole("state_size", 128);
  m.ssm_head_dim = f.whole("head_dim", 64);
  m.ssm_expand = f.whole("expand", 2);
  m.ssm_conv = f.whole("conv_kernel", 4);
  if (f.whole("num_heads", 128) * m.ssm_head_dim != m.ssm_expand * m.width)
    f.refuse_field("num_heads", "times head_dim must be expand times hidden_size");
  if (f.has("time_step_limit")) {
    const Json limit = f.json("time_step_limit");
    const bool none = limit.is_array() && limit.size() == 2 && limit[0] == 0.0 &&
                      (limit[1] == "Infinity" || (limit[1].is_object() && limit[1].size() == 1) ||
                       limit[1].is_null());
    if (!none) f.refuse_field("time_step_limit", "is supported from 0 to infinity only");
  }
  m.norm_epsilon = f.number("layer_norm_epsilon", 1e-5);
  if (m.norm_epsilon != 1e-5) f.refuse_field("layer_norm_epsilon", "is supported as 1e-5 only");
  m.tied = f.truth("tie_word_embeddings", false);
  m.norm_gain = true;
  m.mixer = "mamba2";
  m.ffn = "none";
  m.position = "none";
  return config;
}

Json write_mamba2(const RunConfig& config) {
  const ModelConfig& m = config.model;
  return {{"vocab_size", config.data.vocabulary},
          {"hidden_size", m.width},
          {"num_hidden_layers", m.depth},
          {"state_size", m.ssm_state},
          {"head_dim", m.ssm_head_dim},
          {"num_heads", m.ssm_expand * m.width / m.ssm_head_dim},
          {"expand", m.ssm_expand},
          {"conv_kernel", m.ssm_conv},
          {"n_groups", 1},
          {"layer_norm_epsilon", 1e-5},
          {"tie_word_embeddings", m.tied}};
}

std::vector<TensorMap> mamba2_tensors(const ModelConfig& m, const Json&) {
  const int64_t inner = m.ssm_expand * m.width;
  std::vector<TensorMap> maps{{"embedding", "backbone.embeddings.weight"}};
  for (int64_t layer = 0; layer < m.depth; ++layer) {
    const std::string ours = fmt::format("blocks.{}.", layer),
                      theirs = fmt::format("backbone.layers.{}.", layer);
    const auto add = [&](const char* a, const char* b, Form form = Form::same, int64_t part = 0) {
      maps.push_back({ours + a, theirs + b, 0, 0, form, part});
    };
    add("mixer_norm", "norm.weight");
    add("mixer.in_zx", "mixer.in_proj.weight", Form::same, 2 * inner);
    add("mixer.in_bc", "mixer.in_proj.weight", Form::same, 2 * m.ssm_state);
    add("mixer.in_dt", "mixer.in_proj.weight", Form::same, inner / m.ssm_head_dim);
    add("mixer.conv", "mixer.conv1d.weight", Form::filters);
    add("mixer.conv_bias", "mixer.conv1d.bias");
    add("mixer.A_log", "mixer.A_log");
    add("mixer.dt_bias", "mixer.dt_bias");
    add("mixer.D", "mixer.D");
    add("mixer.norm", "mixer.norm.weight");
    add("mixer.out", "mixer.out_proj.weight");
  }
  maps.push_back({"final_norm", "backbone.norm_f.weight"});
  if (!m.tied) maps.push_back({"readout", "lm_head.weight"});
  return maps;
}

}  // namespace

constinit const Family mamba2_family{"mamba2",
                                     "Mamba2ForCausalLM",
                                     "Mamba-2: one group, no ffn",
                                     read_mamba2,
                                     write_mamba2,
                                     mamba2_tensors,
                                     "backbone.",
                                     {}};

}  // namespace rung

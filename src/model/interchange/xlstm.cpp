// xLSTM 7B (Beck et al. 2025): mLSTM with keys of half a head, and SwiGLU. Files hold each map by
// itself (weight_mode single) or those of one input as one (fused). transformers adds `eps` to the
// cell's denominator and we do not: the norm behind the cell takes any factor of a head away.
#include <cmath>

#include "model/interchange/families.h"
#include "model/part.h"

namespace rung {
namespace {

// The file's rounding: up to a multiple, in floating point, where an inexact product of a factor
// may lie below the whole number that is meant.
int64_t rounded_up(double size, int64_t multiple) {
  const double m = static_cast<double>(multiple), padded = size + m - 1.0;
  return static_cast<int64_t>(padded - std::fmod(padded, m));
}

// One size under two names, of which folders have either or both.
int64_t one_of(Fields& f, const char* name, const char* other) {
  const int64_t size = f.has(name) ? f.whole(name) : f.whole(other);
  if (f.has(other) && f.whole(other) != size)
    f.refuse_field(other, fmt::format("differs from {}", name));
  return size;
}

// What chooses kernels and their precision, and switches of the first releases.
void read_xlstm_switches(Fields& f) {
  f.bookkeeping();
  f.harmless({"chunkwise_kernel", "sequence_kernel", "step_kernel", "mode", "chunk_size",
              "return_last_states", "autocast_kernel_dtype", "inference_state_dtype",
              "max_inference_chunksize", "norm_reduction_force_float32", "igate_bias_init_range",
              "mlstm_round_up_to_multiple_of", "add_embedding_dropout",
              "add_forward_backend_padding", "force_bos_token_insert"});
  f.expect("is_encoder_decoder", false);
  f.expect("quantization_config", nullptr);
  f.expect("use_bias", false);
  f.expect("add_out_norm", true);
  f.expect("add_post_blocks_norm", true);
  f.expect("add_post_norm", false);
  f.expect("add_qk_norm", false);
  f.expect("qk_dim_factor", 0.5);
  f.expect("v_dim_factor", 1.0);
  f.expect("gate_soft_cap", 15.0);
  f.expect("eps", 1e-6);
  f.expect("cell_norm_eps", 1e-6);
  f.expect("norm_eps", 1e-6);
  const std::string mode = f.text("weight_mode", "single");
  if (mode != "single" && mode != "fused")
    f.refuse_field("weight_mode", "is supported as single or fused only");
}

RunConfig read_xlstm(Fields& f) {
  read_xlstm_switches(f);
  RunConfig config;
  ModelConfig& m = config.model;
  config.data.vocabulary = f.whole("vocab_size");
  m.width = one_of(f, "hidden_size", "embedding_dim");
  m.depth = one_of(f, "num_hidden_layers", "num_blocks");
  m.heads = f.whole("num_heads", 8);
  if (m.heads < 1 || m.width % (2 * m.heads) != 0)
    f.refuse_field("num_heads", "must divide half of hidden_size");
  m.head_dim = m.width / m.heads;
  f.expect("head_dim", m.head_dim);
  const int64_t multiple = f.whole("ffn_round_up_to_multiple_of", 64);
  if (multiple < 1) f.refuse_field("ffn_round_up_to_multiple_of", "must be positive");
  const double width = static_cast<double>(m.width), factor = f.number("ffn_proj_factor", 2.667);
  m.ffn_ratio = static_cast<double>(rounded_up(width * factor, multiple)) / width;
  m.logit_cap = f.number("output_logit_soft_cap", 30.0);
  if (m.logit_cap <= 0.0) f.refuse_field("output_logit_soft_cap", "must be positive");
  m.tied = f.truth("tie_word_embeddings", false);
  m.norm_epsilon = 1e-6;
  m.norm_gain = true;
  m.mixer = "mlstm-large";
  m.ffn = "swiglu";
  m.position = "none";
  return config;
}

Json write_xlstm(const RunConfig& config) {
  const ModelConfig& m = config.model;
  const int64_t inner = ffn_width_of(m);
  return {{"vocab_size", config.data.vocabulary},
          {"hidden_size", m.width},
          {"embedding_dim", m.width},
          {"num_hidden_layers", m.depth},
          {"num_blocks", m.depth},
          {"num_heads", heads_of(m)},
          {"qk_dim_factor", 0.5},
          {"v_dim_factor", 1.0},
          {"ffn_proj_factor", m.ffn_ratio},
          // A multiple that the product may fall short of by its rounding.
          {"ffn_round_up_to_multiple_of", inner % 64 == 0 ? 64 : inner},
          {"gate_soft_cap", 15.0},
          {"output_logit_soft_cap", m.logit_cap > 0.0 ? m.logit_cap : 30.0},
          {"norm_eps", 1e-6},
          {"eps", 1e-6},
          {"use_bias", false},
          {"weight_mode", "single"},
          {"autocast_kernel_dtype", "float32"},
          {"tie_word_embeddings", m.tied}};
}

// The maps of a layer whose names depend on weight_mode.
void add_maps(const ModelConfig& m, const std::string& ours, const std::string& theirs, bool fused,
              std::vector<TensorMap>& maps) {
  const int64_t heads = heads_of(m), inner = ffn_width_of(m);
  const std::string mixer = ours + "mixer.", layer = theirs + "mlstm_layer.",
                    up = ours + "ffn.gate_up";
  const auto add = [&](const std::string& a, const std::string& b, int64_t first, int64_t rows,
                       int64_t part = 0) {
    maps.push_back({a, b, first, rows, Form::same, part});
  };
  if (fused) {
    for (const char* name : {"q", "k", "v", "o"})
      add(mixer + name, layer + "qkv_opreact.weight", 0, 0,
          name[0] == 'q' || name[0] == 'k' ? m.width / 2 : m.width);
    add(mixer + "gates", layer + "ifgate_preact.weight", 0, 2 * heads);
    add(mixer + "gate_bias", layer + "ifgate_preact.bias", 0, 2 * heads);
    add(up, theirs + "ffn.proj_up_gate_z.weight", 0, 2 * inner);
    return;
  }
  for (const char* name : {"q", "k", "v"}) add(mixer + name, layer + name + ".weight", 0, 0);
  add(mixer + "o", layer + "ogate_preact.weight", 0, 0);
  for (const bool forget : {false, true}) {
    const std::string gate = layer + (forget ? "fgate_preact." : "igate_preact.");
    add(mixer + "gates", gate + "weight", forget ? heads : 0, heads);
    add(mixer + "gate_bias", gate + "bias", forget ? heads : 0, heads);
  }
  add(up, theirs + "ffn.proj_up_gate.weight", 0, inner);
  add(up, theirs + "ffn.proj_up.weight", inner, inner);
}

std::vector<TensorMap> xlstm_tensors(const ModelConfig& m, const Json& config) {
  const bool fused = config.value("weight_mode", "single") == "fused";
  std::vector<TensorMap> maps{{"embedding", "backbone.embeddings.weight"}};
  for (int64_t layer = 0; layer < m.depth; ++layer) {
    const std::string ours = fmt::format("blocks.{}.", layer),
                      theirs = fmt::format("backbone.blocks.{}.", layer);
    maps.push_back({ours + "mixer_norm", theirs + "norm_mlstm.weight"});
    add_maps(m, ours, theirs, fused, maps);
    maps.push_back({ours + "mixer.norm", theirs + "mlstm_layer.multihead_norm.weight"});
    maps.push_back({ours + "mixer.out", theirs + "mlstm_layer.out_proj.weight"});
    maps.push_back({ours + "ffn_norm", theirs + "norm_ffn.weight"});
    maps.push_back({ours + "ffn.down", theirs + "ffn.proj_down.weight"});
  }
  maps.push_back({"final_norm", "backbone.out_norm.weight"});
  if (!m.tied) maps.push_back({"readout", "lm_head.weight"});
  return maps;
}

}  // namespace

constinit const Family xlstm_family{.model_type = "xlstm",
                                    .architecture = "xLSTMForCausalLM",
                                    .summary = "xLSTM 7B: mLSTM and SwiGLU, logits capped",
                                    .read = read_xlstm,
                                    .write = write_xlstm,
                                    .tensors = xlstm_tensors,
                                    .prefix = "backbone.",
                                    .unused = {}};

}  // namespace rung

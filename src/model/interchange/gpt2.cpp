// GPT-2 (Radford et al. 2019): one map for q, k and v, maps stored as [in, out], biases everywhere.
#include "model/interchange/families.h"
#include "model/part.h"

namespace rung {
namespace {

RunConfig read_gpt2(Fields& f) {
  f.bookkeeping();
  f.harmless({"task_specific_params", "resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_type",
              "summary_use_proj", "summary_activation", "summary_proj_to_labels",
              "summary_first_dropout", "reorder_and_upcast_attn", "n_ctx",
              "gradient_checkpointing"});
  f.expect("scale_attn_weights", true);
  f.expect("scale_attn_by_inverse_layer_idx", false);
  f.expect("add_cross_attention", false);
  f.expect("is_encoder_decoder", false);
  RunConfig config;
  ModelConfig& m = config.model;
  config.data.vocabulary = f.whole("vocab_size");
  m.width = f.whole("n_embd");
  m.depth = f.whole("n_layer");
  m.heads = m.kv_heads = f.whole("n_head");
  if (m.heads < 1 || m.width % m.heads != 0) f.refuse_field("n_head", "must divide n_embd");
  m.head_dim = m.width / m.heads;
  m.context = f.whole("n_positions");
  m.ffn_ratio = static_cast<double>(f.whole("n_inner", 4 * m.width)) / static_cast<double>(m.width);
  m.norm_epsilon = f.number("layer_norm_epsilon", 1e-5);
  m.tied = f.truth("tie_word_embeddings", true);
  const std::string kind = f.text("activation_function", "gelu_new");
  if (kind != "gelu_new" && kind != "gelu_pytorch_tanh")
    f.refuse_field("activation_function", "is supported as gelu_new only");
  m.norm = "layernorm";
  m.norm_gain = m.norm_bias = m.ffn_bias = true;
  m.attention_bias = "all";
  m.position = "learned";
  m.ffn = "gelu";
  return config;
}

Json write_gpt2(const RunConfig& config) {
  const ModelConfig& m = config.model;
  return {{"vocab_size", config.data.vocabulary},
          {"n_embd", m.width},
          {"n_layer", m.depth},
          {"n_head", m.heads},
          {"n_positions", m.context},
          {"n_inner", ffn_width_of(m)},
          {"layer_norm_epsilon", m.norm_epsilon},
          {"activation_function", "gelu_new"},
          {"tie_word_embeddings", m.tied}};
}

std::vector<TensorMap> gpt2_tensors(const ModelConfig& m, const Json&) {
  std::vector<TensorMap> maps{{"embedding", "transformer.wte.weight"},
                              {"positions", "transformer.wpe.weight"}};
  for (int64_t layer = 0; layer < m.depth; ++layer) {
    const std::string ours = fmt::format("blocks.{}.", layer),
                      theirs = fmt::format("transformer.h.{}.", layer);
    const auto norm = [&](const char* a, const char* b) {
      maps.push_back({ours + a, theirs + b + ".weight"});
      maps.push_back({ours + a + "_bias", theirs + b + ".bias"});
    };
    const auto map = [&](const char* a, const char* b) {
      maps.push_back({ours + a, theirs + b + ".weight", 0, 0, Form::transposed});
      maps.push_back({ours + a + "_bias", theirs + b + ".bias"});
    };
    norm("mixer_norm", "ln_1");
    map("mixer.qkv", "attn.c_attn");
    map("mixer.out", "attn.c_proj");
    norm("ffn_norm", "ln_2");
    map("ffn.up", "mlp.c_fc");
    map("ffn.down", "mlp.c_proj");
  }
  maps.push_back({"final_norm", "transformer.ln_f.weight"});
  maps.push_back({"final_norm_bias", "transformer.ln_f.bias"});
  if (!m.tied) maps.push_back({"readout", "lm_head.weight"});
  return maps;
}

}  // namespace

constinit const Family gpt2_family{"gpt2",
                                   "GPT2LMHeadModel",
                                   "GPT-2: learned positions, biases, LayerNorm",
                                   read_gpt2,
                                   write_gpt2,
                                   gpt2_tensors,
                                   "transformer.",
                                   {".attn.bias", ".attn.masked_bias"}};

}  // namespace rung

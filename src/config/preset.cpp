// Sources: the configurations that the models' authors published, as `transformers` reads them.
// Windows are those of a context of 128, the default, in the published proportion where it is not
// tiny (Gemma 2: half); sizes of heads and their numbers are left to the shape.
#include "config/preset.h"

#include <array>

#include "config/resolve.h"
#include "core/error.h"
#include "core/nearest.h"

namespace rung {
namespace {

using Settings = PresetSetting;

// Radford et al. 2019.
constexpr std::array gpt2 = {
    Settings{"model.norm", "layernorm"},     Settings{"model.norm_gain", "true"},
    Settings{"model.norm_bias", "true"},     Settings{"model.norm_epsilon", "1e-5"},
    Settings{"model.position", "learned"},   Settings{"model.ffn", "gelu"},
    Settings{"model.ffn_ratio", "4"},        Settings{"model.ffn_bias", "true"},
    Settings{"model.attention_bias", "all"}, Settings{"model.tied", "true"}};

// Touvron et al. 2023; theta and ffn as in Llama 3 8B (Grattafiori et al. 2024).
constexpr std::array llama = {Settings{"model.norm_gain", "true"},
                              Settings{"model.norm_epsilon", "1e-5"},
                              Settings{"model.ffn", "swiglu"}, Settings{"model.ffn_ratio", "3.5"},
                              Settings{"model.rope_theta", "500000"}};

// Yang et al. 2025.
constexpr std::array qwen3 = {Settings{"model.norm_gain", "true"},
                              Settings{"model.qk_norm", "true"}, Settings{"model.ffn", "swiglu"},
                              Settings{"model.ffn_ratio", "3"},
                              Settings{"model.rope_theta", "1000000"}};

// OLMo team 2025: norms behind branches, QK-norm over the width.
constexpr std::array olmo2 = {
    Settings{"model.norm_gain", "true"},   Settings{"model.norm_place", "after"},
    Settings{"model.qk_norm", "true"},     Settings{"model.qk_norm_over", "width"},
    Settings{"model.ffn", "swiglu"},       Settings{"model.ffn_ratio", "2.6875"},
    Settings{"model.rope_theta", "500000"}};

// Gemma team 2024.
constexpr std::array gemma1 = {Settings{"model.norm_gain", "true"}, Settings{"model.ffn", "geglu"},
                               Settings{"model.ffn_ratio", "8"}, Settings{"model.tied", "true"}};

// Gemma team 2024: norms on both sides, capped scores and logits, every other layer local.
constexpr std::array gemma2 = {
    Settings{"model.norm_gain", "true"},   Settings{"model.norm_place", "both"},
    Settings{"model.ffn", "geglu"},        Settings{"model.ffn_ratio", "4"},
    Settings{"model.attention_cap", "50"}, Settings{"model.logit_cap", "30"},
    Settings{"model.window", "64"},        Settings{"model.windows", "local, global"},
    Settings{"model.tied", "true"}};

// Gemma team 2025: QK-norm instead of caps, five local layers to a global one.
constexpr std::array gemma3 = {Settings{"model.norm_gain", "true"},
                               Settings{"model.norm_place", "both"},
                               Settings{"model.ffn", "geglu"},
                               Settings{"model.ffn_ratio", "6"},
                               Settings{"model.qk_norm", "true"},
                               Settings{"model.window", "32"},
                               Settings{"model.windows", "local x5, global"},
                               Settings{"model.rope_theta", "1000000"},
                               Settings{"model.rope_theta_local", "10000"},
                               Settings{"model.tied", "true"}};

// Dao & Gu 2024, with the states of 64 and heads of 16 that suit small models.
constexpr std::array mamba2 = {Settings{"model.mixer", "mamba2"}, Settings{"model.ffn", "none"},
                               Settings{"model.norm_gain", "true"},
                               Settings{"model.norm_epsilon", "1e-5"},
                               Settings{"model.position", "none"}};

// Beck et al. 2025.
constexpr std::array xlstm = {Settings{"model.mixer", "mlstm-large"},
                              Settings{"model.ffn", "swiglu"},
                              Settings{"model.ffn_ratio", "2.6666666666666667"},
                              Settings{"model.logit_cap", "30"},
                              Settings{"model.norm_gain", "true"},
                              Settings{"model.position", "none"}};

// He & Hofmann 2024: the authors' `skipless` and `skipless-parallel`, whose ffn is a ReLU's.
constexpr std::array sas = {Settings{"model.mixer", "sas"}, Settings{"model.norm_gain", "true"},
                            Settings{"model.ffn", "gelu"}, Settings{"model.ffn_ratio", "4"},
                            Settings{"model.ffn_gain", "0.1"}};
constexpr std::array sas_p = {
    Settings{"model.mixer", "sas"},    Settings{"model.norm_gain", "true"},
    Settings{"model.ffn", "gelu"},     Settings{"model.ffn_ratio", "4"},
    Settings{"model.ffn_gain", "0.1"}, Settings{"model.parallel", "true"}};

// Jiang et al. 2024.
constexpr std::array mixtral = {
    Settings{"model.norm_gain", "true"},   Settings{"model.norm_epsilon", "1e-5"},
    Settings{"model.ffn", "moe"},          Settings{"model.ffn_ratio", "3.5"},
    Settings{"model.moe_experts", "8"},    Settings{"model.moe_top_k", "2"},
    Settings{"model.moe_gates", "chosen"}, Settings{"model.rope_theta", "1000000"}};

// Ma et al. 2024: no norm has a gain, so that a branch's own and its first map's are one.
constexpr std::array bitnet = {Settings{"model.linear", "bitnet"}, Settings{"model.ffn", "swiglu"},
                               Settings{"model.ffn_ratio", "2.75"}};

// Ma et al. 2025, arXiv 2504.12285, but for a ratio of 2.7: rows in fours can be packed.
constexpr std::array bitnet_2b4t = {
    Settings{"model.linear", "ternary"},    Settings{"model.sub_norm", "true"},
    Settings{"model.ffn", "reglu2"},        Settings{"model.ffn_ratio", "2.75"},
    Settings{"model.norm_gain", "true"},    Settings{"model.norm_epsilon", "1e-5"},
    Settings{"model.rope_theta", "500000"}, Settings{"model.tied", "true"}};

// Zhu et al. 2024, but for the readout, which is ternary there.
constexpr std::array matmulfree = {
    Settings{"model.mixer", "mlgru"},    Settings{"model.linear", "bitnet"},
    Settings{"model.ffn", "swiglu"},     Settings{"model.ffn_ratio", "2.75"},
    Settings{"model.norm_gain", "true"}, Settings{"model.position", "none"}};

constexpr std::array table = {
    Preset{"gpt2", "LayerNorm and biases everywhere, GELU, learned positions, tied", gpt2},
    Preset{"llama", "RMSNorm, SwiGLU, RoPE", llama},
    Preset{"qwen3", "llama with QK-norm a head", qwen3},
    Preset{"olmo2", "norms behind branches, QK-norm over the width", olmo2},
    Preset{"gemma1", "GeGLU, tied", gemma1},
    Preset{"gemma2", "norms on both sides, caps, local and global layers in turn", gemma2},
    Preset{"gemma3", "norms on both sides, QK-norm, five local layers to a global one", gemma3},
    Preset{"mixtral", "llama with two of eight experts a token", mixtral},
    Preset{"mamba2", "Mamba-2 mixers without an ffn", mamba2},
    Preset{"xlstm", "xLSTM 7B: mLSTM and SwiGLU, logits capped", xlstm},
    Preset{"bitnet", "BitNet b1.58: ternary maps in attention and SwiGLU", bitnet},
    Preset{"bitnet-2b4t", "BitNet 2B4T: ternary maps between norms, gated ReLU^2", bitnet_2b4t},
    Preset{"matmulfree", "MatMul-free LM: MLGRU and SwiGLU with ternary maps", matmulfree},
    Preset{"sas", "shaped attention without values, output map and skip", sas},
    Preset{"sas-p", "sas with the ffn beside the mixer, not behind it", sas_p}};

}  // namespace

std::span<const Preset> presets() {
  return table;
}

void apply_preset(RunConfig& config, const std::string& name) {
  std::vector<std::string> names;
  for (const Preset& preset : table) {
    names.emplace_back(preset.name);
    if (preset.name != name) continue;
    for (const PresetSetting& setting : preset.settings)
      apply_setting(config, std::string(setting.key), std::string(setting.value));
    return;
  }
  fail_usage("[config] Unknown preset. Received {}.{}", name,
             suggestion(name, names, fmt::format(" Known: {}.", fmt::join(names, ", "))));
}

}  // namespace rung

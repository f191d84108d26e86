#include <array>
#include <type_traits>

#include "config/keys.h"
#include "config/resolve.h"
#include "core/error.h"
#include "core/nearest.h"
#include "core/quantiser.h"
#include "core/utf8.h"

namespace rung {
namespace {

constexpr double huge = 1e18;

// Closed intervals of single fields; what several fields must satisfy together stands below.
struct Range {
  std::string_view key;
  double low, high;
};
constexpr std::array ranges = {Range{"base_width", 1, 1 << 20},
                               Range{"base_depth", 1, 4096},
                               Range{"base_batch_tokens", 0, 1e12},
                               Range{"base_tokens", 0, huge},
                               Range{"seed", 0, 9.2e18},
                               Range{"data.vocabulary", 2, 1 << 24},
                               Range{"data.held_out", 1e-6, 0.5},
                               Range{"model.width", 1, 1 << 20},
                               Range{"model.depth", 1, 4096},
                               Range{"model.head_dim", 0, 1 << 16},
                               Range{"model.heads", 0, 1 << 16},
                               Range{"model.kv_heads", 0, 1 << 16},
                               Range{"model.context", 1, 1 << 24},
                               Range{"model.ffn_ratio", 1e-3, 1024},
                               Range{"model.moe_experts", 1, 1 << 12},
                               Range{"model.moe_ratio", 0, 1024},
                               Range{"model.moe_top_k", 1, 1 << 12},
                               Range{"model.moe_shared", 0, 1 << 12},
                               Range{"model.moe_balance", 0, 1e6},
                               Range{"model.moe_z", 0, 1e6},
                               Range{"model.peer_experts", 1, 1 << 24},
                               Range{"model.peer_heads", 1, 1 << 12},
                               Range{"model.peer_top_k", 1, 1 << 12},
                               Range{"model.peer_key", 2, 1 << 16},
                               Range{"model.peer_shared", 0, 1 << 20},
                               Range{"model.norm_epsilon", 0, 1},
                               Range{"model.rope_theta", 1, huge},
                               Range{"model.rope_theta_local", 0, huge},
                               Range{"model.rope_factor", 1e-3, 1e6},
                               Range{"model.rope_low", 1e-3, 1e6},
                               Range{"model.rope_high", 1e-3, 1e6},
                               Range{"model.rope_original", 1, 1 << 24},
                               Range{"model.window", 0, 1 << 24},
                               Range{"model.attention_cap", 0, 1e6},
                               Range{"model.logit_cap", 0, 1e6},
                               Range{"model.ssm_state", 1, 1 << 16},
                               Range{"model.ssm_head_dim", 1, 1 << 16},
                               Range{"model.ssm_groups", 1, 1 << 16},
                               Range{"model.ssm_expand", 1, 1024},
                               Range{"model.ssm_conv", 1, 1024},
                               Range{"model.ssm_chunk", 0, 1 << 16},
                               Range{"model.mtp_heads", 1, 64},
                               Range{"model.density", 1e-6, 1},
                               Range{"model.ffn_gain", 0, 1e6},
                               Range{"train.tokens", 1, huge},
                               Range{"train.batch_tokens", 1, 1e12},
                               Range{"train.lr", 0, 1e6},
                               Range{"train.weight_decay", 0, 1e6},
                               Range{"train.lr_embedding", 1e-6, 1e6},
                               Range{"train.lr_hidden", 1e-6, 1e6},
                               Range{"train.lr_readout", 1e-6, 1e6},
                               Range{"train.beta1", 0, 0.999999},
                               Range{"train.beta2", 0, 0.99999999},
                               Range{"train.epsilon", 0, 1},
                               Range{"train.clip", 0, huge},
                               Range{"train.warmup", 0, huge},
                               Range{"train.cooldown", 0, huge},
                               Range{"train.eval_tokens", 1, 1e12},
                               Range{"train.eval_every", 0, huge},
                               Range{"train.checkpoint_every", 0, huge},
                               Range{"train.members", 1, 65536},
                               Range{"train.recompute", 0, 4096},
                               Range{"train.memory", 0, huge},
                               Range{"multipliers.alpha_res", 1e-6, 1e6},
                               Range{"multipliers.alpha_attn", 1e-6, 1e6},
                               Range{"multipliers.alpha_ffn", 1e-6, 1e6},
                               Range{"multipliers.alpha_ratio", 1e-6, 1e6},
                               Range{"multipliers.alpha_loss", 1e-6, 1e6},
                               Range{"multipliers.alpha_emb", 1e-6, 1e6},
                               Range{"multipliers.tau", 1e-6, 0.999999}};

// Fields whose values this layer knows; parts and parametrisations are looked up in their own
// tables.
struct Choice {
  std::string_view key;
  std::array<std::string_view, 5> values;
};
constexpr std::array choices = {
    Choice{"alignment", {"full", "none", "global"}},
    Choice{"constraint", {"to_output_scale", "to_grad_input_scale", "gmean", "hmean", "amean"}},
    Choice{"device", {"cpu", "cuda"}},
    Choice{"precision", {"fp64", "fp32", "bf16", "fp8"}},
    Choice{"model.moe_gates", {"chosen", "all"}},
    Choice{"model.norm", {"rmsnorm", "layernorm"}},
    Choice{"model.norm_place", {"before", "after", "both", "none"}},
    Choice{"model.position", {"rope", "cope", "learned", "none"}},
    Choice{"model.rope_scaling", {"none", "linear", "llama3"}},
    Choice{"model.linear", {"dense", "bitnet", "ternary"}},
    Choice{"model.attention_bias", {"none", "qkv", "all"}},
    Choice{"model.qk_norm_over", {"head", "width"}},
    Choice{"train.decay_rule", {"independent", "coupled", "width", "timescale"}},
    Choice{"train.epsilon_rule", {"gradient", "constant"}},
    Choice{"train.moments", {"fp32", "bf16", "fp8"}},
    Choice{"train.moments_rounding", {"stochastic", "nearest"}},
    Choice{"train.gradients", {"fp32", "bf16"}},
    Choice{"train.schedule", {"linear", "1-sqrt", "cosine-cooldown", "cosine", "constant"}}};

void check_range(std::string_view key, double value) {
  for (const Range& range : ranges)
    if (range.key == key && !(value >= range.low && value <= range.high))
      fail_usage("[config] {} must be from {:.12g} to {:.12g}. Received {}.", key, range.low,
                 range.high, value);
}

void check_choice(std::string_view key, const std::string& value) {
  for (const Choice& choice : choices) {
    if (choice.key != key || (key == "alignment" && value.empty())) continue;
    std::vector<std::string> known;
    for (const std::string_view word : choice.values)
      if (!word.empty()) known.emplace_back(word);
    if (std::find(known.begin(), known.end(), value) != known.end()) continue;
    fail_usage("[config] {} is one of {}. Received {}.{}", key, fmt::join(known, ", "), value,
               suggestion(value, known));
  }
}

// A run's files, which are JSON and TOML, could not name other text, nor a resumed run find it.
void check_text(std::string_view key, const std::string& value) {
  if (valid_utf8_prefix(value) != value.size())
    fail_usage("[config] {} takes UTF-8. Received {}. Rename what it names.", key, value);
}

void check_model(const ModelConfig& m) {
  if (m.head_dim == 0 && m.width % 4 != 0)
    fail_usage(
        "[config] model.width must be a multiple of 4 unless model.head_dim is given. Received {}.",
        m.width);
  const int64_t head_dim = m.head_dim > 0 ? m.head_dim : m.width / 4;
  if (m.heads == 0 && m.width % head_dim != 0)
    fail_usage(
        "[config] model.width must be a multiple of model.head_dim unless model.heads is given. "
        "Received {} and {}.",
        m.width, head_dim);
  const int64_t heads = m.heads > 0 ? m.heads : m.width / head_dim;
  const int64_t kv_heads = m.kv_heads > 0 ? m.kv_heads : heads;
  if (heads % kv_heads != 0)
    fail_usage("[config] model.kv_heads must divide the {} query heads. Received {}.", heads,
               kv_heads);
  if (m.position == "rope" && head_dim % 2 != 0)
    fail_usage("[config] model.position = rope wants an even head. Received model.head_dim = {}.",
               head_dim);
  if (m.rope_scaling == "llama3" && m.rope_low >= m.rope_high)
    fail_usage("[config] model.rope_low must be below model.rope_high. Received {} and {}.",
               m.rope_low, m.rope_high);
}

void check_train(const TrainConfig& t, int64_t context) {
  if (t.batch_tokens % context != 0)
    fail_usage(
        "[config] train.batch_tokens must be a multiple of model.context. Received {} and {}.",
        t.batch_tokens, context);
  if (t.tokens < t.batch_tokens)
    fail_usage("[config] train.tokens must be at least train.batch_tokens. Received {} and {}.",
               t.tokens, t.batch_tokens);
  if (t.lr <= 0.0) fail_usage("[config] train.lr must be positive. Received {}.", t.lr);
  if (t.gradients != "fp32" && t.optimizer != "adamw")
    fail_usage("[config] train.gradients = {} is for adamw alone. Received train.optimizer = {}.",
               t.gradients, t.optimizer);
  const bool share = t.decay_rule == "independent" || t.decay_rule == "width";
  if (share && t.weight_decay > 1.0)
    fail_usage(
        "[config] train.weight_decay is the share that a weight loses in a step, from 0 to 1. "
        "Received {}.",
        t.weight_decay);
  if (t.eval_tokens < context)
    fail_usage("[config] train.eval_tokens must be at least model.context. Received {} and {}.",
               t.eval_tokens, context);
  const double steps = static_cast<double>(t.tokens / t.batch_tokens);
  const auto length = [&](double given) { return given < 1.0 ? given * steps : given; };
  if (t.schedule != "constant" && length(t.warmup) + length(t.cooldown) > steps + 0.5)
    fail_usage("[config] train.warmup and train.cooldown exceed the {} steps. Received {} and {}.",
               steps, t.warmup, t.cooldown);
}

}  // namespace

void validate(const RunConfig& config) {
  RunConfig copy = config;
  visit_config(copy, []<class T>(const char* key, T& field, const char*, const char*) {
    if constexpr (std::is_same_v<T, std::string>) {
      check_text(key, field);
      check_choice(key, field);
    } else if constexpr (!std::is_same_v<T, bool>) {
      check_range(key, static_cast<double>(field));
    }
  });
  check_model(config.model);
  check_train(config.train, config.model.context);
  parse_quantiser(config.formats.weight, "formats.weight");
  parse_quantiser(config.formats.activation, "formats.activation");
  parse_quantiser(config.formats.gradient, "formats.gradient");
}

}  // namespace rung

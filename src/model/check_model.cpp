#include "model/check_model.h"

#include <algorithm>

#include "config/pattern.h"
#include "core/error.h"
#include "model/formats.h"

namespace rung {
namespace {

// Before rules look up what they know of a part: a slip in its name is then named as one.
void check_part_names(const ModelConfig& model) {
  for (const std::string& name : mixers_by_layer(model)) find_part(mixers(), "mixer", name);
  for (const std::string& name : ffns_by_layer(model)) find_part(ffns(), "ffn", name);
}

void check_shape(const ModelConfig& model, int64_t vocabulary) {
  const auto wrong = [](const char* what, int64_t received) {
    fail_usage("[model] {} Received {}.", what, received);
  };
  if (model.width < 1) wrong("Width must be positive.", model.width);
  if (model.depth < 1) wrong("Depth must be positive.", model.depth);
  if (model.context < 1) wrong("Context must be positive.", model.context);
  if (vocabulary < 2) wrong("The vocabulary must hold at least 2 tokens.", vocabulary);
  const int64_t dim = head_dim_of(model);
  if (dim < 1 || (model.heads == 0 && model.width % dim != 0))
    fail_usage(
        "[model] Width {} is not a multiple of head_dim {}. Set model.head_dim to a divisor, or "
        "model.heads.",
        model.width, dim);
  if (model.position == "rope" && dim % 2 != 0)
    fail_usage(
        "[model] RoPE needs an even head_dim. Received {}. Set model.position=none or another "
        "width.",
        dim);
  if (heads_of(model) % kv_heads_of(model) != 0)
    fail_usage("[model] {} query heads cannot share {} kv_heads. Set model.kv_heads to a divisor.",
               heads_of(model), kv_heads_of(model));
}

void check_attention(const RunConfig& config) {
  const ModelConfig& m = config.model;
  if (m.position == "cope" && (m.window > 0 || m.attention_cap > 0.0))
    fail_usage("[model] CoPE knows no window and no cap. Received {}.",
               m.window > 0 ? "model.window" : "model.attention_cap");
  if (!m.windows.empty() && m.window == 0)
    fail_usage("[model] Local layers need a window. Received model.windows = \"{}\" alone.",
               m.windows);
  if (m.qk_norm_over == "width" && !m.qk_norm)
    fail_usage("[model] model.qk_norm_over is of the QK-norm. Received model.qk_norm = false.");
}

void check_positions(const RunConfig& config) {
  const ModelConfig& model = config.model;
  if (model.position == "cope" && model.cope_positions < 2)
    fail_usage("[model] CoPE needs at least 2 positions. Received {}.", model.cope_positions);
}

// Every head is a block with the branches of the first, which is the last block of the way to the
// next token.
void check_heads(const RunConfig& config) {
  const ModelConfig& m = config.model;
  if (m.mtp_heads == 1) return;
  if (m.mtp_heads > m.depth)
    fail_usage("[model] Each of the {} prediction heads is one of the {} blocks. Set model.depth.",
               m.mtp_heads, m.depth);
  if (m.mtp_heads > m.context)
    fail_usage("[model] model.mtp_heads is at most the context of {}. Received {}.", m.context,
               m.mtp_heads);
  const std::vector<std::string> names = ffns_by_layer(m);
  const auto first = static_cast<size_t>(path_depth(m) - 1);
  for (size_t layer = first; layer < names.size(); ++layer)
    if ((names[layer] == no_ffn) != (names[first] == no_ffn))
      fail_usage("[model] Prediction heads have an ffn all or none. Received {} in block {}.",
                 names[layer], layer);
}

void check_linear(const RunConfig& config) {
  const ModelConfig& m = config.model;
  if (m.linear == "dense") return;
  if (m.position == "cope" || m.density < 1.0)
    fail_usage("[model] Ternary maps know neither CoPE nor sparse matrices. Received {}.",
               m.position == "cope" ? "model.position = cope" : "model.density below 1");
}

void check_formats(const RunConfig& config) {
  if (!has_formats(config)) return;
  const FormatConfig& f = config.formats;
  const std::string& rule = config.parametrisation;
  if (config.precision == "fp8" && rule != "umup" && rule != "mus" &&
      (f.weight.empty() || f.activation.empty() || f.gradient.empty()))
    fail_usage(
        "[precision] The scales of 1 of fp8 are of tensors near unit size. Received "
        "parametrisation {}. Set parametrisation=umup or mus, or formats.weight, activation and "
        "gradient with scales, such as 'e4m3 scale=32'.",
        rule);
  if (config.model.linear != "dense" || config.model.position == "cope")
    fail_usage("[formats] Formats are of dense maps without CoPE. Received {}.",
               config.model.position == "cope" ? "model.position = cope"
                                               : "model.linear = " + config.model.linear);
}

// Blocks beside the usual ones.
void check_kind(const RunConfig& config) {
  const ModelConfig& m = config.model;
  if (m.parallel && m.norm_place != "before" && m.norm_place != "none")
    fail_usage(
        "[model] model.parallel has one norm a block, before it, or none. Received "
        "model.norm_place = {}.",
        m.norm_place);
}

}  // namespace

void check_model(const RunConfig& config, int64_t vocabulary) {
  check_part_names(config.model);
  check_shape(config.model, vocabulary);
  check_positions(config);
  check_attention(config);
  check_heads(config);
  check_linear(config);
  check_formats(config);
  check_kind(config);
}

void check_blocks(const RunConfig& config, const BlockFactors& block) {
  const ModelConfig& m = config.model;
  const std::string& rule = config.parametrisation;
  // Unit scaling's branch factors reach the gradient at the split, which lies before a norm.
  const bool delayed = std::any_of(block.residual.begin(), block.residual.end(),
                                   [](const ResidualFactor& r) { return r.delayed; });
  if (delayed && m.norm_place != "before" && m.norm_place != "both")
    fail_usage(
        "[model] {} wants norms before branches. Set model.norm_place=before, or another "
        "parametrisation.",
        rule);
  if (delayed && (m.parallel || m.ffn_gain > 0.0))
    fail_usage("[model] {} has no factors for {}. Set parametrisation=mup or standard.", rule,
               m.parallel ? "model.parallel" : "model.ffn_gain");
  const Promise promise = find_parametrisation(rule).promise;
  for (const std::string& name : mixers_by_layer(m))
    // A rule that shares the stream between branches and skips, by depth or otherwise.
    if (!find_part(mixers(), "mixer", name).skip && (delayed || promise.depth || rule == "mus"))
      fail_usage(
          "[model] {} has no factors for blocks without a skip. Received the mixer {}. Set "
          "parametrisation=mup or standard.",
          rule, name);
}

const Part& checked_part(std::span<const Part> table, std::string_view kind,
                         const std::string& name, const RunConfig& config) {
  const Part& part = find_part(table, kind, name);
  if (part.check) part.check(config.model);
  const ModelConfig& m = config.model;
  if (kind == "mixer" && name != "attention" && heads_of(m) * head_dim_of(m) != m.width)
    fail_usage("[model] The heads of {} make up the width {}. Received {} heads of {}.", name,
               m.width, heads_of(m), head_dim_of(m));
  const auto is_bias = [](const TensorSpec& spec) { return spec.role == Role::bias; };
  if (kind == "ffn" && m.ffn_bias && name != no_ffn) {
    const std::vector<TensorSpec> tensors = part.describe(m);
    if (std::none_of(tensors.begin(), tensors.end(), is_bias))
      fail_usage("[model] The ffn {} has no biases. Received model.ffn_bias = true.", name);
  }
  if (m.linear != "dense" && !part.ternary)
    fail_usage("[model] The {} {} has no ternary form. Received model.linear = {}.", kind, name,
               m.linear);
  if (m.sub_norm && !part.sub_norm)
    fail_usage("[model] The {} {} has no norm inside. Received model.sub_norm = true.", kind, name);
  if (!part.ternary && has_formats(config))
    fail_usage("[formats] The {} {} multiplies by more than plain maps: it takes no formats.", kind,
               name);
  return part;
}

}  // namespace rung

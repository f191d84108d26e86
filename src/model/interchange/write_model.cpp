#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <set>

#include "config/pattern.h"
#include "config/resolve.h"
#include "core/error.h"
#include "core/files.h"
#include "core/shell.h"
#include "model/interchange/convert.h"
#include "model/interchange/folder.h"
#include "model/interchange/packed.h"
#include "model/part.h"
#include "ops/ternary.h"

namespace rung {
namespace {

using at::Tensor;

// A recurrent model without what attention alone reads, and without a ratio that no ffn has.
ModelConfig without_attention(const ModelConfig& own) {
  ModelConfig m;
  m.width = own.width, m.depth = own.depth;
  m.mixer = own.mixer, m.ffn = own.ffn, m.ffn_pattern = own.ffn_pattern;
  m.norm = own.norm, m.norm_place = own.norm_place, m.norm_gain = true;
  m.norm_bias = own.norm_bias, m.norm_epsilon = own.norm_epsilon;
  m.position = own.position == "learned" ? own.position : "none";
  m.linear = own.linear, m.ffn_bias = own.ffn_bias, m.tied = own.tied;
  m.logit_cap = own.logit_cap;
  m.parallel = own.parallel, m.ffn_gain = own.ffn_gain;
  if (own.ffn != "none") m.ffn_ratio = own.ffn_ratio;
  if (own.mixer == "mlstm-large") {
    m.heads = own.heads, m.head_dim = own.head_dim;
    return m;
  }
  m.ssm_state = own.ssm_state, m.ssm_head_dim = own.ssm_head_dim, m.ssm_groups = own.ssm_groups;
  m.ssm_expand = own.ssm_expand, m.ssm_conv = own.ssm_conv;
  return m;
}

// The model with all sizes written out and what has no effect at its default, so that equal models
// have equal configurations. Gains are there once multipliers are folded.
RunConfig canonical(const RunConfig& given, int64_t vocabulary) {
  RunConfig c;
  c.data.vocabulary = vocabulary;
  c.model = given.model;
  c.multipliers.alpha_emb = given.multipliers.alpha_emb;
  c.multipliers.alpha_attn = given.multipliers.alpha_attn;
  ModelConfig& m = c.model;
  const ModelConfig defaults;
  m.heads = heads_of(given.model);
  m.head_dim = head_dim_of(given.model);
  m.kv_heads = kv_heads_of(given.model);
  if (m.ffn == "moe" && m.moe_ratio > 0.0) m.ffn_ratio = m.moe_ratio;
  m.moe_ratio = 0.0;
  m.ffn_ratio = static_cast<double>(ffn_width_of(m)) / static_cast<double>(m.width);
  m.norm_gain = true;
  m.density = 1.0;
  m.frozen.clear();
  // One part in all layers, however it was written.
  const auto unify = [](std::string& name, std::string& pattern,
                        const std::vector<std::string>& by_layer) {
    if (std::set(by_layer.begin(), by_layer.end()).size() != 1) return;
    name = by_layer.front();
    pattern.clear();
  };
  unify(m.mixer, m.pattern, mixers_by_layer(m));
  unify(m.ffn, m.ffn_pattern, ffns_by_layer(m));
  if (m.pattern.empty() && (m.mixer == "mamba2" || m.mixer == "mlstm-large")) {
    m = without_attention(m);
    return c;
  }
  const std::vector<int64_t> windows = windows_by_layer(m);
  m.windows.clear();
  if (std::ranges::count(windows, 0) == m.depth) m.window = 0;
  if (m.window > 0)
    for (const int64_t window : windows)
      m.windows +=
          fmt::format("{}{}", m.windows.empty() ? "" : ",", window > 0 ? "local" : "global");
  if (m.rope_scaling == "none") m.rope_factor = defaults.rope_factor;
  if (m.rope_scaling != "llama3") {
    m.rope_low = defaults.rope_low;
    m.rope_high = defaults.rope_high;
    m.rope_original = defaults.rope_original;
  }
  if (m.window == 0 || (m.rope_theta_local == m.rope_theta && m.rope_scaling == "none"))
    m.rope_theta_local = 0.0;
  if (m.position != "rope") m.rope_theta = defaults.rope_theta;
  if (!m.qk_norm) m.qk_norm_over = defaults.qk_norm_over;
  return c;
}

// Biases of zero stand in where a family always has them.
bool filled_in(const std::string& key, const Json& ours, const Json& theirs) {
  if (key == "model.attention_bias") return ours == "none" || theirs == "all";
  return (key == "model.ffn_bias" || key == "model.norm_bias") && theirs == true;
}

// Settings of parts that the model does not have, or of training.
bool has_no_effect(const std::string& key, const ModelConfig& m) {
  return (key.starts_with("model.moe_") && m.ffn != "moe") || key == "model.moe_balance" ||
         key == "model.moe_z" || (key.starts_with("model.peer_") && m.ffn != "peer") ||
         (key.starts_with("model.ssm_") && m.mixer == "attention") ||
         (key.starts_with("model.cope_") && m.position != "cope");
}

// How well a family holds a configuration: what it lacks, and what it must bend.
struct Match {
  const Family* family = nullptr;
  RunConfig config;                   // as the family reads it back
  std::vector<std::string> lacks;     // "model.ffn (ours, theirs)"
  std::vector<std::string> settings;  // as --set takes them: what it lacks as it would have it
  int bent = 0;
  bool readable = true;  // its own config.json, which it is not where shapes are far from its own
};

bool near(double a, double b) {
  return std::abs(a - b) < 1e-12 * std::abs(b);
}

Match match(const Family& family, const RunConfig& ours, const Decoder& decoder) {
  RunConfig wanted = ours;
  const double root_dim = std::sqrt(static_cast<double>(head_dim_of(decoder.model)));
  wanted.multipliers.alpha_attn =
      family.free_scale ? decoder.block.attention_logit * root_dim : 1.0;
  wanted.multipliers.alpha_emb =
      family.scaled_embedding ? std::sqrt(static_cast<double>(ours.model.width)) : 1.0;
  Match m{.family = &family, .config = {}, .lacks = {}, .settings = {}};
  try {
    Fields fields(family.write(wanted), "config.json");
    m.config = family.read(fields);
    fields.finish();
  } catch (const Error& error) {
    m.lacks = {error.what()};
    m.readable = false;
    return m;
  }
  const Json theirs = to_json(canonical(m.config, m.config.data.vocabulary));
  const Json own = to_json(ours);
  for (const auto& [key, value] : own.items()) {
    if (!key.starts_with("model.") || theirs.at(key) == value || has_no_effect(key, ours.model))
      continue;
    const Json& wants = theirs.at(key);
    if (filled_in(key, value, wants)) {
      m.bent += 2;
      continue;
    }
    m.lacks.push_back(fmt::format("{} ({}, there {})", key, value.dump(), wants.dump()));
    m.settings.push_back(
        shell_quoted(key + "=" + (wants.is_string() ? wants.get<std::string>() : wants.dump())));
  }
  if (!near(wanted.multipliers.alpha_emb, decoder.block.embedding)) ++m.bent;
  return m;
}

Match best_match(const RunConfig& config, const Decoder& decoder) {
  const RunConfig ours = canonical(config, decoder.vocabulary);
  Match best;
  for (const Family& family : families()) {
    const Match candidate = match(family, ours, decoder);
    const auto rank = [](const Match& m) {
      return std::tuple(!m.readable, m.lacks.size(), m.bent);
    };
    if (!best.family || rank(candidate) < rank(best)) best = candidate;
  }
  if (best.lacks.empty()) return best;
  std::string names;
  for (const Family& family : families())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", family.model_type);
  fail("[export] No known family ({}) has this model. The nearest, {}, differs in {}.{}", names,
       best.family->model_type, fmt::join(best.lacks, ", "),
       best.settings.empty() ? ""
                             : fmt::format(" Trained with --set {} it could be exported.",
                                           fmt::join(best.settings, " ")));
}

Tensor theirs_of(const Tensor& part, Form form) {
  switch (form) {
    case Form::same:
      return part;
    case Form::transposed:
      return part.t();
    case Form::plus_one:
      return part - 1.0;
    case Form::filters:
      return part.unsqueeze(1);
    case Form::codes:
    case Form::codes_over:
      break;
  }
  return part;
}

// Adds a tensor of ours, or its rows, to theirs.
void put(const Tensor& ours, const TensorMap& map, NamedTensors& theirs) {
  const Tensor part = map.rows > 0 ? ours.narrow(0, map.first, map.rows) : ours;
  if (map.form == Form::codes || map.form == Form::codes_over) {
    const int64_t rows[] = {part.size(0)};
    const Codes coded = ternary_codes(part.unsqueeze(0), rows);
    const Tensor scale = coded.scale[0][0];
    theirs[map.theirs] = packed_codes(coded.codes[0], map.theirs);
    theirs[scale_name(map.theirs)] = map.form == Form::codes ? scale : scale.reciprocal();
    return;
  }
  const Tensor made = theirs_of(part, map.form);
  const auto before = theirs.find(map.theirs);
  theirs[map.theirs] = before == theirs.end() ? made : at::cat({before->second, made});
}

NamedTensors translate(const Match& match, const Json& json, const NamedTensors& ours,
                       const Decoder& decoder) {
  NamedTensors result;
  std::set<std::string> used;
  RunConfig config = match.config;  // the shapes of biases that the run does not have
  config.parametrisation = "standard";
  const Decoder full = make_decoder(config, decoder.vocabulary);
  for (const TensorMap& map : match.family->tensors(match.config.model, json)) {
    const auto found = ours.find(map.ours);
    used.insert(map.ours);
    Tensor values;
    if (found != ours.end()) {
      values = found->second;
    } else {
      for (const TensorSpec& spec : full.layout.tensors)
        if (spec.name == map.ours && spec.role == Role::bias)
          values = at::zeros(spec.shape, ours.at("embedding").options());
      if (!values.defined())
        fail("[export] {} wants a tensor that the run lacks. Received no {}.",
             match.family->model_type, map.ours);
    }
    put(values, map, result);
  }
  for (const auto& [name, values] : ours)
    if (!used.contains(name))
      fail("[export] {} has no place for a tensor of the run. Received {}.",
           match.family->model_type, name);
  return result;
}

}  // namespace

const Family& write_model(const RunConfig& config, const Decoder& decoder, const Tensor& row,
                          int64_t end_of_text, const fs::path& folder, bool packed) {
  const Match match = best_match(config, decoder);
  const double root_dim = std::sqrt(static_cast<double>(head_dim_of(decoder.model)));
  const FoldTarget target{.embedding = match.config.multipliers.alpha_emb,
                          .attention_logit = match.config.multipliers.alpha_attn / root_dim};
  Json json = match.family->write(match.config);
  if (packed && (!match.family->pack || !match.family->pack(json)))
    fail("[export] Packed maps are ternary ones of the family bitnet. Received {}.",
         match.family->model_type);
  write_tensors(folder, translate(match, json, fold(decoder, row, target), decoder));
  json["model_type"] = match.family->model_type;
  json["architectures"] = {match.family->architecture};
  json["torch_dtype"] = row.scalar_type() == at::kDouble ? "float64" : "float32";
  json["bos_token_id"] = Json();
  json["eos_token_id"] = end_of_text >= 0 ? Json(end_of_text) : Json();
  write_json(folder / "config.json", json);
  return *match.family;
}

}  // namespace rung

#include "model/formats.h"

#include <algorithm>

#include "core/error.h"

namespace rung {
namespace {

std::vector<std::string> names_in(const std::string& text) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const size_t first = text.find_first_not_of(' ', begin),
                 last = text.find_last_not_of(' ', end ? end - 1 : 0);
    if (first < end && last != std::string::npos)
      names.push_back(text.substr(first, last - first + 1));
    begin = end + 1;
  }
  return names;
}

}  // namespace

namespace {

// Whether units that multiply in `of` round as q says.
bool is_on_units(const Quantiser& q, const Quantiser& of) {
  return q.on && q.over == ScaleOver::fixed && !q.stochastic &&
         q.grid.mantissa_bits == of.grid.mantissa_bits && q.grid.lowest == of.grid.lowest &&
         q.grid.largest == of.grid.largest && q.grid.smallest == of.grid.smallest &&
         q.grid.beyond == of.grid.beyond;
}

Quantiser format_of(const std::string& text, const char* key, const RunConfig& config,
                    const char* of_fp8) {
  if (config.precision != "fp8") return parse_quantiser(text, key);
  const Quantiser q = parse_quantiser(text.empty() ? of_fp8 : text, key);
  if (!is_on_units(q, parse_quantiser(of_fp8, key)))
    fail_usage(
        "[precision] fp8 multiplies E4M3 weights and activations and E5M2 gradients, each with a "
        "fixed scale. Received {} = '{}'. precision=bf16 simulates other formats.",
        key, text);
  return q;
}

}  // namespace

bool has_formats(const RunConfig& config) {
  const FormatConfig& f = config.formats;
  return config.precision == "fp8" || !f.weight.empty() || !f.activation.empty() ||
         !f.gradient.empty();
}

FormatRule::FormatRule(const RunConfig& config)
    : maps_{.weight = format_of(config.formats.weight, "formats.weight", config, "e4m3"),
            .activation =
                format_of(config.formats.activation, "formats.activation", config, "e4m3"),
            .gradient = format_of(config.formats.gradient, "formats.gradient", config, "e5m2"),
            .hardware = config.precision == "fp8"},
      kept_(names_in(config.formats.keep)),
      met_(kept_.size()) {
  if (!kept_.empty() && !on())
    fail_usage("[formats] formats.keep is of formats. Received '{}' without any.",
               config.formats.keep);
}

void FormatRule::apply(TensorSpec& spec, const std::string& name) {
  if (!on() || spec.role != Role::hidden) return;
  const auto found = std::find(kept_.begin(), kept_.end(), name);
  if (found != kept_.end()) {
    met_[static_cast<size_t>(found - kept_.begin())] = true;
    return;
  }
  MapFormats own = maps_;
  own.key = mix_bits(hash_name("formats:" + spec.name));
  spec.formats = std::make_shared<const MapFormats>(own);
}

void FormatRule::check_names() const {
  for (size_t i = 0; i < kept_.size(); ++i)
    if (!met_[i])
      fail_usage(
          "[formats] formats.keep names hidden matrices of blocks, such as qkv, out, gate_up and "
          "down. Received '{}', which no layer has.",
          kept_[i]);
}

}  // namespace rung

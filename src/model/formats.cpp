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

FormatRule::FormatRule(const RunConfig& config)
    : maps_{.weight = parse_quantiser(config.formats.weight, "formats.weight"),
            .activation = parse_quantiser(config.formats.activation, "formats.activation"),
            .gradient = parse_quantiser(config.formats.gradient, "formats.gradient")},
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

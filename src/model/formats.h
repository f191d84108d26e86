// Which hidden matrices multiply in which simulated formats, from a configuration.
#pragma once
#include <string>
#include <vector>

#include "config/config.h"
#include "scaling/tensors.h"

namespace rung {

// Whether any map is in a format: by [formats], or by precision = fp8.
bool has_formats(const RunConfig& config);

class FormatRule {
 public:
  // Fails (usage) on formats that do not exist.
  explicit FormatRule(const RunConfig& config);
  bool on() const { return maps_.weight.on || maps_.activation.on || maps_.gradient.on; }
  // Gives a hidden matrix its formats; `name` is its own within its part, such as "qkv".
  void apply(TensorSpec& spec, const std::string& name);
  // Fails (usage) where formats.keep names a map that no layer has.
  void check_names() const;

 private:
  MapFormats maps_;
  std::vector<std::string> kept_;
  std::vector<bool> met_;  // of kept_
};

}  // namespace rung

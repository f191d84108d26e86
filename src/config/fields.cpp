#include "config/fields.h"

#include <type_traits>

#include "config/keys.h"
#include "config/preset.h"
#include "core/nearest.h"
#include "core/number.h"

namespace rung {

FieldKind field_kind(const std::string& key) {
  FieldKind kind = key == preset_key ? FieldKind::text : FieldKind::unknown;
  RunConfig config;
  visit_config(config, [&]<class T>(const char* name, T&, const char*, const char*) {
    if (key != name) return;
    if constexpr (std::is_same_v<T, std::string>)
      kind = FieldKind::text;
    else if constexpr (std::is_same_v<T, bool>)
      kind = FieldKind::truth;
    else
      kind = FieldKind::number;
  });
  return kind;
}

std::vector<std::string> field_keys() {
  std::vector<std::string> keys;
  RunConfig config;
  visit_config(config,
               [&](const char* name, auto&, const char*, const char*) { keys.push_back(name); });
  return keys;
}

std::string unknown_key_text(const std::string& key) {
  return fmt::format("Unknown key. Received {}.{}", key,
                     suggestion(key, field_keys(), " docs/config.md lists them."));
}

void expand_ranges(Setting& setting) {
  if (field_kind(setting.key) != FieldKind::number) return;
  std::vector<std::string> values;
  for (const std::string& value : setting.values) {
    const std::optional<std::vector<double>> range = parse_range(value);
    if (!range) values.push_back(value);
    if (range)
      for (const double point : *range) values.push_back(number_text(point));
  }
  setting.values = std::move(values);
}

}  // namespace rung

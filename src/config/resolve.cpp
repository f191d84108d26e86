#include "config/resolve.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <type_traits>

#include "config/fields.h"
#include "config/keys.h"
#include "config/preset.h"
#include "core/error.h"
#include "core/number.h"

namespace rung {
namespace {

std::string trim(std::string text) {
  text.erase(0, text.find_first_not_of(" \t"));
  text.erase(text.find_last_not_of(" \t") + 1);
  return text;
}

// A number was wanted, and a list stands there without its brackets.
std::string list_of(const std::string& text) {
  return text.find(',') == std::string::npos
             ? ""
             : fmt::format(" A list stands in brackets: [{}].", text);
}

template <class T>
void parse_field(const std::string& key, std::string_view unit, T& field, const std::string& text) {
  if constexpr (std::is_same_v<T, std::string>) {
    field = text;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (text != "true" && text != "false")
      fail_usage("[config] {} takes true or false. Received {}.", key, text);
    field = text == "true";
  } else if constexpr (std::is_same_v<T, double>) {
    const bool bytes = unit == "bytes";
    const std::optional<double> number = bytes ? parse_bytes(text) : parse_number(text);
    if (!number)
      fail_usage("[config] {} takes {}. Received {}.{}", key,
                 bytes ? "bytes, as 8GB or 8GiB" : "a number", text, list_of(text));
    field = *number;
  } else {
    // Digits are read exactly; `1e6` and `2^20` are whole numbers too.
    int64_t whole = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error != std::errc() || end != text.data() + text.size()) {
      const std::optional<double> number = parse_number(text);
      if (!number || *number != std::floor(*number) || std::abs(*number) > 0x1p53)
        fail_usage("[config] {} takes a whole number. Received {}.{}", key, text, list_of(text));
      whole = static_cast<int64_t>(*number);
    }
    if (std::is_unsigned_v<T> && whole < 0)
      fail_usage("[config] {} must not be negative. Received {}.", key, text);
    field = static_cast<T>(whole);
  }
}

}  // namespace

Setting parse_setting(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    fail_usage("[config] A setting is key=value or key=[a,b]. Received {}.", text);
  Setting setting{trim(text.substr(0, equals)), {}};
  std::string value = trim(text.substr(equals + 1));
  if (value.starts_with('[') != value.ends_with(']') || value == "[")
    fail_usage("[config] A list begins with [ and ends with ]. Received {}.", text);
  if (value.starts_with('[')) {
    value = value.substr(1, value.size() - 2);
    for (size_t begin = 0; begin <= value.size();) {
      const size_t end = std::min(value.find(',', begin), value.size());
      setting.values.push_back(trim(value.substr(begin, end - begin)));
      if (setting.values.back().empty())
        fail_usage("[config] A list has an empty entry. Received {}.", text);
      begin = end + 1;
    }
  } else {
    setting.values.push_back(value);
  }
  expand_ranges(setting);
  return setting;
}

void apply_setting(RunConfig& config, const std::string& key, const std::string& value) {
  if (key == preset_key) return apply_preset(config, value);
  bool found = false;
  visit_config(config, [&](const char* name, auto& field, const char* unit, const char*) {
    if (key != name) return;
    found = true;
    parse_field(key, unit, field, value);
  });
  if (!found) fail_usage("[config] {}", unknown_key_text(key));
}

std::vector<RunConfig> resolve(const RunConfig& defaults, const std::vector<Setting>& given) {
  constexpr size_t most = 1 << 16;
  std::vector<Setting> settings = given;  // a preset is what the other settings start from
  std::stable_partition(settings.begin(), settings.end(),
                        [](const Setting& s) { return s.key == preset_key; });
  std::vector<RunConfig> configs{defaults};
  for (size_t i = 0; i < settings.size(); ++i) {
    const auto later = [&](const Setting& s) { return s.key == settings[i].key; };
    if (std::any_of(settings.begin() + static_cast<std::ptrdiff_t>(i) + 1, settings.end(), later)) {
      RunConfig scratch;  // replaced, yet a typing error in it should still be seen
      for (const std::string& value : settings[i].values)
        apply_setting(scratch, settings[i].key, value);
      continue;
    }
    std::vector<RunConfig> next;
    if (configs.size() * settings[i].values.size() > most)
      fail_usage("[config] The lists make more than {} runs.", most);
    for (const RunConfig& config : configs)
      for (const std::string& value : settings[i].values) {
        next.push_back(config);
        apply_setting(next.back(), settings[i].key, value);
      }
    configs = std::move(next);
  }
  std::vector<RunConfig> members;
  for (const RunConfig& config : configs) {
    validate(config);
    for (int64_t member = 0; member < config.train.members; ++member) {
      members.push_back(config);
      members.back().seed += static_cast<uint64_t>(member);
      members.back().train.members = 1;
    }
    if (members.size() > most) fail_usage("[config] The lists make more than {} runs.", most);
  }
  return members;
}

Json to_json(const RunConfig& config) {
  Json json = Json::object();
  RunConfig copy = config;
  visit_config(copy,
               [&](const char* key, auto& field, const char*, const char*) { json[key] = field; });
  return json;
}

RunConfig config_from_json(const Json& json) {
  if (!json.is_object())
    fail("[config] A configuration is a JSON object. Received {}.", json.type_name());
  RunConfig config;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string() && !value.is_number() && !value.is_boolean())
      fail("[config] {} takes a number, true or false, or text. Received {}.", key,
           value.type_name());
    apply_setting(config, key,
                  value.is_string()         ? value.get<std::string>()
                  : value.is_number_float() ? number_text(value.get<double>())
                                            : value.dump());
  }
  return config;
}

Json with_defaults(const Json& saved) {
  Json json = to_json(RunConfig{});
  for (const auto& [key, value] : saved.items()) json[key] = value;
  return json;
}

}  // namespace rung

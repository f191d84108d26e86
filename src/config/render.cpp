// The configuration as a TOML file and as the table of docs/config.md.
#include <type_traits>

#include "config/keys.h"
#include "config/resolve.h"
#include "core/number.h"

namespace rung {
namespace {

// JSON's escapes are a subset of those of TOML's basic strings.
template <class T>
std::string toml_value(const T& field) {
  if constexpr (std::is_same_v<T, std::string>) {
    return Json(field).dump(-1, ' ', false, Json::error_handler_t::replace);
  } else if constexpr (std::is_same_v<T, bool>) {
    return field ? "true" : "false";
  } else if constexpr (std::is_same_v<T, double>) {
    const std::string text = number_text(field);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  } else {
    return fmt::format("{}", field);
  }
}

std::pair<std::string, std::string> split_key(const std::string& key) {
  const size_t dot = key.rfind('.');
  if (dot == std::string::npos) return {"", key};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

}  // namespace

std::string to_toml(const RunConfig& config) {
  RunConfig copy = config;
  std::string text, section;
  visit_config(copy, [&](const char* key, auto& field, const char* unit, const char* help) {
    const auto [table, name] = split_key(key);
    if (table != section) text += fmt::format("\n[{}]\n", table);
    section = table;
    const std::string line = fmt::format("{} = {}", name, toml_value(field));
    text += fmt::format("{:<32}  # {}{}{}\n", line, help, *unit ? "; " : "", unit);
  });
  return text;
}

std::string config_markdown() {
  std::string text =
      "# Configuration\n\n"
      "Generated from the configuration structs; a test fails when this file is stale\n"
      "(`RUNG_UPDATE_DOCS=1` before the test rewrites it). Keys go into a TOML file (`[model]`, "
      "then\n"
      "`width = 64`) or behind `--set` (`--set model.width=64`). A list makes a population, "
      "several lists\n"
      "their product: `--set train.lr=[0.01,0.02]`, or log-spaced with 9 points, "
      "`train.lr=2^-8..2^0:9`.\n"
      "`preset = \"llama\"` (`--set preset=llama`; `rung presets` lists them) sets a published "
      "block's keys\n"
      "before any other setting.\n\n"
      "| key | unit | default | meaning |\n|---|---|---|---|\n";
  RunConfig config;
  visit_config(config, [&](const char* key, auto& field, const char* unit, const char* help) {
    std::string shown = unit;
    for (size_t at = 0; (at = shown.find('|', at)) != std::string::npos; at += 2)
      shown.insert(at, "\\");
    text += fmt::format("| `{}` | {} | `{}` | {} |\n", key, shown, toml_value(field), help);
  });
  return text;
}

}  // namespace rung

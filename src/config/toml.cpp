// The only file that includes toml++, whose header takes seconds to compile.
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "config/fields.h"
#include "config/resolve.h"
#include "config/toml_json.h"
#include "core/error.h"
#include "core/files.h"
#include "core/number.h"

namespace rung {
namespace {

struct Placed {
  Setting setting;
  toml::source_position at;
};

std::string value_text(const toml::node& node, const std::string& key, const std::string& file) {
  const FieldKind kind = field_kind(key);
  if (const auto* text = node.as_string()) return text->get();
  const auto line = node.source().begin.line;
  if (kind == FieldKind::text)
    fail_usage("[config] {}, line {}: {} takes text in quotes.", file, line, key);
  if (const auto* whole = node.as_integer()) return fmt::format("{}", whole->get());
  if (const auto* number = node.as_floating_point()) return number_text(number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  fail_usage("[config] {}, line {}: {} takes a number, true or false, text, or a list of them.",
             file, line, key);
}

void collect(const toml::table& table, const std::string& prefix, const std::string& file,
             std::vector<Placed>& out) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      collect(*inner, key + ".", file, out);
      continue;
    }
    if (field_kind(key) == FieldKind::unknown)
      fail_usage("[config] {}, line {}: {}", file, node.source().begin.line, unknown_key_text(key));
    Setting setting{key, {}};
    if (const toml::array* list = node.as_array()) {
      for (const toml::node& entry : *list) setting.values.push_back(value_text(entry, key, file));
      if (setting.values.empty())
        fail_usage("[config] {}, line {}: {} has an empty list.", file, node.source().begin.line,
                   key);
    } else {
      setting.values.push_back(value_text(node, key, file));
    }
    expand_ranges(setting);
    out.push_back({std::move(setting), node.source().begin});
  }
}

toml::table parse_file(const fs::path& path) {
  const std::string text = read_file(path);
  try {
    return toml::parse(text, path.string());
  } catch (const toml::parse_error& error) {
    fail_usage("[config] {}, line {}, column {}: {}.{}", path.string(), error.source().begin.line,
               error.source().begin.column, error.description(),
               path.extension() == ".toml" ? "" : " A text is given with --data.");
  }
}

Json to_json(const toml::node& node, const std::string& file) {
  if (const toml::table* table = node.as_table()) {
    std::vector<std::pair<std::string, const toml::node*>> entries;
    for (const auto& [name, value] : *table) entries.emplace_back(name.str(), &value);
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      const auto x = a.second->source().begin, y = b.second->source().begin;
      return std::pair(x.line, x.column) < std::pair(y.line, y.column);
    });
    Json object = Json::object();
    for (const auto& [name, value] : entries) object[name] = to_json(*value, file);
    return object;
  }
  if (const toml::array* list = node.as_array()) {
    Json result = Json::array();
    for (const toml::node& entry : *list) result.push_back(to_json(entry, file));
    return result;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return whole->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  const auto* number = node.as_floating_point();
  if (number && std::isfinite(number->get())) return number->get();
  fail_usage("[config] {}, line {}: A value is neither finite number nor text, truth or list.",
             file, node.source().begin.line);
}

}  // namespace

Json read_toml(const fs::path& path) {
  return to_json(parse_file(path), path.string());
}

std::vector<Setting> read_settings(const fs::path& path) {
  const std::string file = path.string();
  std::vector<Placed> placed;
  collect(parse_file(path), "", file, placed);
  // toml++ sorts keys by name; settings keep the order of the file, which orders populations.
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  std::vector<Setting> settings;
  for (Placed& entry : placed) settings.push_back(std::move(entry.setting));
  return settings;
}

}  // namespace rung

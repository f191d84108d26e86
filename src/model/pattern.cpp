#include "model/pattern.h"

#include <charconv>

#include "core/error.h"

namespace rung {
namespace {

[[noreturn]] void malformed(const std::string& pattern, std::string_view entry) {
  fail_usage(
      "[model] model.pattern lists mixers with counts, such as \"mamba2 x7, attention\". Received "
      "\"{}\", of which \"{}\" cannot be read.",
      pattern, entry);
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// "NAME" or "NAME xCOUNT".
void append_entry(const std::string& pattern, std::string_view entry, int64_t depth,
                  std::vector<std::string>& names) {
  const size_t space = entry.find_first_of(" \t");
  const std::string_view name = entry.substr(0, space);
  int64_t count = 1;
  if (name.empty()) malformed(pattern, entry);
  if (space != std::string_view::npos) {
    const std::string_view times = trimmed(entry.substr(space));
    const char* end = times.data() + times.size();
    if (times.front() != 'x') malformed(pattern, entry);
    const auto [stop, error] = std::from_chars(times.data() + 1, end, count);
    if (error != std::errc() || stop != end || count < 1) malformed(pattern, entry);
  }
  if (count > depth) count = depth + 1;  // refused below
  names.insert(names.end(), static_cast<size_t>(count), std::string(name));
}

}  // namespace

std::vector<std::string> mixers_by_layer(const ModelConfig& model) {
  const auto depth = static_cast<size_t>(model.depth);
  if (model.pattern.empty()) return std::vector<std::string>(depth, model.mixer);
  std::vector<std::string> names;
  const std::string_view text = model.pattern;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    append_entry(model.pattern, trimmed(text.substr(begin, end - begin)), model.depth, names);
    begin = end + 1;
  }
  const size_t period = names.size();
  if (depth % period != 0)
    fail_usage(
        "[model] The depth must be a multiple of the layers that model.pattern lists. Received "
        "depth {} and \"{}\".",
        model.depth, model.pattern);
  while (names.size() < depth) names.push_back(names[names.size() - period]);
  return names;
}

}  // namespace rung

#include "config/pattern.h"

#include <charconv>

#include "core/error.h"

namespace rung {
namespace {

// One pattern: its key, its text, and what its entries are.
struct Pattern {
  const char *key, *things;
  const std::string& text;
};

[[noreturn]] void malformed(const Pattern& pattern, std::string_view entry) {
  fail_usage(
      "[model] {} lists {} as NAME or NAME xCOUNT with commas between them. Received \"{}\", of "
      "which \"{}\" cannot be read.",
      pattern.key, pattern.things, pattern.text, entry);
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// "NAME" or "NAME xCOUNT".
void append_entry(const Pattern& pattern, std::string_view entry, int64_t depth,
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

std::vector<std::string> names_of(const Pattern& pattern, int64_t depth) {
  std::vector<std::string> names;
  const std::string_view text = pattern.text;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    append_entry(pattern, trimmed(text.substr(begin, end - begin)), depth, names);
    begin = end + 1;
  }
  return names;
}

// The names that the pattern lists, repeated to the depth.
std::vector<std::string> repeated(const Pattern& pattern, int64_t depth) {
  std::vector<std::string> names = names_of(pattern, depth);
  const size_t period = names.size(), layers = static_cast<size_t>(depth);
  if (layers % period != 0)
    fail_usage(
        "[model] The depth must be a multiple of the layers that {} lists. Received depth {} and "
        "\"{}\".",
        pattern.key, depth, pattern.text);
  while (names.size() < layers) names.push_back(names[names.size() - period]);
  return names;
}

}  // namespace

std::vector<std::string> mixers_by_layer(const ModelConfig& model) {
  if (model.pattern.empty())
    return std::vector<std::string>(static_cast<size_t>(model.depth), model.mixer);
  return repeated({"model.pattern", "mixers", model.pattern}, model.depth);
}

std::vector<std::string> ffns_by_layer(const ModelConfig& model) {
  if (model.ffn_pattern.empty())
    return std::vector<std::string>(static_cast<size_t>(model.depth), model.ffn);
  return repeated({"model.ffn_pattern", "ffns", model.ffn_pattern}, model.depth);
}

std::vector<int64_t> windows_by_layer(const ModelConfig& model) {
  const auto depth = static_cast<size_t>(model.depth);
  if (model.windows.empty()) return std::vector<int64_t>(depth, model.window);
  const Pattern list{"model.windows", "local and global layers", model.windows};
  const std::vector<std::string> names = names_of(list, model.depth);
  std::vector<int64_t> windows;
  for (size_t layer = 0; layer < depth; ++layer) {
    const std::string& name = names[layer % names.size()];
    if (name != "local" && name != "global") malformed(list, name);
    windows.push_back(name == "local" ? model.window : 0);
  }
  return windows;
}

std::vector<Frozen> frozen_by_layer(const ModelConfig& model) {
  std::vector<Frozen> frozen(static_cast<size_t>(model.depth));
  if (model.frozen.empty()) return frozen;
  const Pattern list{"model.frozen", "none, mixer, ffn or block", model.frozen};
  const std::vector<std::string> names = repeated(list, model.depth);
  for (size_t layer = 0; layer < names.size(); ++layer) {
    const std::string& name = names[layer];
    if (name != "none" && name != "mixer" && name != "ffn" && name != "block")
      malformed(list, name);
    frozen[layer] = {name == "mixer" || name == "block", name == "ffn" || name == "block"};
  }
  return frozen;
}

std::vector<bool> branches_of(const ModelConfig& model) {
  std::vector<bool> there;
  const std::vector<std::string> ffns = ffns_by_layer(model);
  for (size_t layer = 0; layer < static_cast<size_t>(path_depth(model)); ++layer) {
    there.push_back(true);
    there.push_back(ffns[layer] != no_ffn);
  }
  return there;
}

}  // namespace rung

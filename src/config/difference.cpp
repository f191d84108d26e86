#include "config/difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

namespace rung {
namespace {

using Values = std::vector<Json>;

// The scalars of a file by their keys, in its order but for members, which come first: what stands
// beside them follows from them. They are configurations, whose keys are whole. A list's entries
// share their key.
class ValuesByKey {
 public:
  explicit ValuesByKey(const Json& file) { gather(file, ""); }

  const std::vector<std::string>& keys() const { return keys_; }
  const Values* find(const std::string& key) const {
    const auto at = values_.find(key);
    return at == values_.end() ? nullptr : &at->second;
  }

 private:
  static constexpr const char* members = "members";

  void gather(const Json& json, const std::string& key) {
    if (json.is_object()) {
      const std::string prefix = key.empty() || key.ends_with(members) ? "" : key + ".";
      if (json.contains(members)) gather(json.at(members), prefix + members);
      for (const auto& [name, value] : json.items())
        if (name != members) gather(value, prefix + name);
      return;
    }
    if (json.is_array() && !json.empty()) {
      for (const Json& value : json) gather(value, key);
      return;
    }
    const auto [at, fresh] = values_.try_emplace(key);
    if (fresh) keys_.push_back(key);
    if (!json.is_array()) at->second.push_back(json);
  }

  std::vector<std::string> keys_;
  std::map<std::string, Values> values_;
};

// Places of a list that are shown: all of a short one, else a few from before `first`.
std::string list_text(const Values& values, size_t first) {
  constexpr size_t most = 5;
  if (values.empty()) return "none";
  if (std::all_of(values.begin(), values.end(), [&](const Json& v) { return v == values[0]; }))
    return values[0].dump();
  const size_t size = values.size();
  const size_t begin = size <= most ? 0 : std::min(first - std::min<size_t>(first, 1), size - most);
  const size_t end = std::min(size, begin + most);
  std::vector<std::string> shown;
  for (size_t i = begin; i < end; ++i) shown.push_back(values[i].dump());
  return fmt::format("[{}{}{}]", begin ? "..., " : "", fmt::join(shown, ", "),
                     end < size ? fmt::format(", ... ({} values)", size) : "");
}

// Each value once, in the order of their appearance.
Values distinct(const Values& values) {
  Values once;
  for (const Json& value : values)
    if (std::find(once.begin(), once.end(), value) == once.end()) once.push_back(value);
  return once;
}

std::string change_text(const std::string& key, const Values& was, const Values& is) {
  const auto first = static_cast<size_t>(
      std::mismatch(was.begin(), was.end(), is.begin(), is.end()).first - was.begin());
  const std::string before = list_text(was, first), after = list_text(is, first);
  if (before == after)  // as many more or fewer of one value
    return fmt::format("{} had {} values, now {}", key, was.size(), is.size());
  return fmt::format("{} was {}, now {}", key, before, after);
}

// Of the keys whose values differ, whatever their order and number.
std::vector<std::string> changes(const ValuesByKey& before, const ValuesByKey& after) {
  std::vector<std::string> texts;
  for (const std::string& key : before.keys()) {
    const Values was = distinct(*before.find(key));
    const Values* now = after.find(key);
    if (!now)
      texts.push_back(
          fmt::format("{} is {}, which this build does not know", key, list_text(was, 0)));
    else if (const Values is = distinct(*now); was != is)
      texts.push_back(change_text(key, was, is));
  }
  return texts;
}

// Of the first key whose values are the same ones in another order or number.
std::string rearrangement(const ValuesByKey& before, const ValuesByKey& after) {
  for (const std::string& key : before.keys())
    if (const Values& was = *before.find(key), &is = *after.find(key); was != is)
      return change_text(key, was, is);
  return "";
}

// The first of them, and how many there are beside these.
std::string joined(const std::vector<std::string>& texts) {
  constexpr size_t most = 3;
  const size_t shown = std::min(most, texts.size());
  std::string text = fmt::format("{}", fmt::join(texts.data(), texts.data() + shown, "; "));
  if (texts.size() > shown) text += fmt::format("; and {} more", texts.size() - shown);
  return text;
}

}  // namespace

std::string difference_text(const Json& saved, const Json& now) {
  const ValuesByKey before(saved), after(now);
  const std::vector<std::string> texts = changes(before, after);
  return texts.empty() ? rearrangement(before, after) : joined(texts);
}

std::string variety_text(const Json& configurations) {
  const ValuesByKey all(configurations);
  std::vector<std::string> texts;
  for (const std::string& key : all.keys())
    if (const Values values = distinct(*all.find(key)); values.size() > 1)
      texts.push_back(fmt::format("{} of {}", key, list_text(values, 0)));
  return joined(texts);
}

}  // namespace rung

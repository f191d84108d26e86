#include "study/known_data.h"

#include <fstream>
#include <map>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"

namespace rung {
namespace {

using Texts = std::map<std::string, std::string>;  // hash by path

// What a log's first events name as their data. A climb's stands in its second event, a run's in
// its first; those of earlier builds have none.
void add_texts(const fs::path& log, Texts& texts) {
  constexpr int first_events = 2;
  std::ifstream file(log);
  std::string line;
  for (int i = 0; i < first_events && std::getline(file, line); ++i) {
    const Json event = Json::parse(line, nullptr, false);
    if (!event.is_object() || !event.contains("data")) continue;
    const Json& data = event.at("data");
    if (data.contains("path") && data.contains("sha256"))
      texts.emplace(data.at("path").get<std::string>(), data.at("sha256").get<std::string>());
  }
}

Texts texts_of(const fs::path& folder) {
  Texts texts;
  std::error_code none;  // no folder yet
  for (const auto& entry : fs::recursive_directory_iterator(folder, none))
    if (entry.path().filename() == "log.jsonl") add_texts(entry.path(), texts);
  return texts;
}

}  // namespace

std::string known_data_path(const fs::path& folder, const std::string& path,
                            const TokenSource& source) {
  const std::string hash = source.describe().value("sha256", "");
  if (hash.empty()) return path;  // no text
  const Texts texts = texts_of(folder);
  if (const auto same = texts.find(path); same != texts.end()) {
    if (same->second != hash)
      fail(
          "[data] {} has changed since {} was begun: going on would mix two texts. Restore it, or "
          "choose another folder.",
          path, folder.string());
    return path;
  }
  for (const auto& [known, content] : texts)
    if (content == hash) return known;
  return path;
}

}  // namespace rung

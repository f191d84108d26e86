#include "study/prediction_file.h"

#include "core/error.h"
#include "core/events.h"
#include "core/hash.h"

namespace rung {

Json read_prediction(const fs::path& folder) {
  const fs::path path = folder / "prediction.json";
  if (!fs::exists(path))
    fail("[climb] {} holds no prediction.json. Give the folder of a climb.", folder.string());
  Json json = read_json(path);
  const Json empty = Json::object();
  const Json& target = json.contains("target") ? json.at("target") : empty;
  for (const char* key : {"loss", "lo", "hi"})
    if (!json.contains(key) || !json.at(key).is_number())
      fail("[climb] {} is no prediction of a climb: it lacks the number {}.", path.string(), key);
  for (const char* key : {"N", "D", "C", "width"})
    if (!target.contains(key) || !target.at(key).is_number())
      fail("[climb] {} is no prediction of a climb: its target lacks the number {}.", path.string(),
           key);
  return json;
}

bool is_recorded(const fs::path& folder) {
  const fs::path file = folder / "prediction.json", log = folder / "log.jsonl";
  if (!fs::exists(log)) return false;
  for (const Json& event : read_json_lines(log)) {
    if (event.value("event", "") != "prediction") continue;
    const std::string hash = sha256_file(file), logged = event.value("sha256", "");
    if (logged == hash) return true;
    fail(
        "[climb] {} was changed after it had been recorded. Received SHA-256 {}, log.jsonl holds "
        "{}. Restore it, or start another climb.",
        file.string(), hash, logged);
  }
  return false;
}

}  // namespace rung

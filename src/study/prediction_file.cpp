#include "study/prediction_file.h"

#include "core/error.h"
#include "core/events.h"
#include "core/hash.h"
#include "core/record.h"

namespace rung {

Json read_prediction(const fs::path& folder) {
  const fs::path path = folder / "prediction.json";
  if (!fs::exists(path) && fs::exists(folder / "plan.json"))
    fail(
        "[climb] {} has no prediction yet: its climb has not come to it. Continue it with "
        "--resume.",
        folder.string());
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
  const auto recorded = recorded_hash(read_json_lines(log));
  if (!recorded) return false;
  const std::string hash = sha256_file(file);
  if (hash != *recorded)
    fail(
        "[climb] {} was changed after it had been recorded. Received SHA-256 {}, log.jsonl holds "
        "{}. Restore it, or start another climb.",
        file.string(), hash, *recorded);
  return true;
}

}  // namespace rung

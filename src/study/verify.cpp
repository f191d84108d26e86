#include "core/error.h"
#include "core/events.h"
#include "core/files.h"
#include "report/report.h"
#include "study/climb.h"
#include "study/forecast.h"
#include "study/prediction_file.h"

namespace rung {

Json verify_climb(const fs::path& folder, double measured, double standard_error) {
  const Json prediction = read_prediction(folder);
  if (fs::exists(folder / "target" / "result.json"))
    fail(
        "[verify] {} trained its target and measured it, which stays its record. Verify a climb "
        "made with --predict-only.",
        folder.string());
  is_recorded(folder);  // of climbs that logged it
  Json json{
      {"status", "done"},
      {"target", prediction.at("target")},
      {"predicted",
       {{"loss", prediction.at("loss")}, {"lo", prediction.at("lo")}, {"hi", prediction.at("hi")}}},
      {"measured", {{"loss", measured}, {"se", json_number(standard_error)}}}};
  judge(json, measured);
  Json earlier = Json::array();
  if (fs::exists(folder / "log.jsonl"))
    for (const Json& event : read_json_lines(folder / "log.jsonl"))
      if (event.value("event", "") == "end" && event.contains("measured"))
        earlier.push_back(event.at("measured"));
  if (!earlier.empty()) json["replaces"] = earlier;
  json["out"] = folder.string();
  JsonLog log(folder / "log.jsonl");
  Json event{{"event", "end"}};
  for (const auto& [key, value] : json.items()) event[key] = value;
  log.write(event, true);
  write_report(folder);
  return json;
}

}  // namespace rung

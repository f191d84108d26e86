#include "core/events.h"
#include "core/files.h"
#include "report/report.h"
#include "study/climb.h"

namespace rung {

Json verify_climb(const fs::path& folder, double measured, double standard_error) {
  const Json prediction = read_json(folder / "prediction.json");
  const double loss = prediction.at("loss").get<double>();
  const bool inside = measured >= prediction.at("lo").get<double>() &&
                      measured <= prediction.at("hi").get<double>();
  Json json{
      {"status", "done"},
      {"target", prediction.at("target")},
      {"predicted", {{"loss", loss}, {"lo", prediction.at("lo")}, {"hi", prediction.at("hi")}}},
      {"measured", {{"loss", measured}, {"se", json_number(standard_error)}}},
      {"relative_error", (loss - measured) / measured},
      {"inside", inside},
      {"out", folder.string()}};
  JsonLog log(folder / "log.jsonl");
  Json event{{"event", "end"}};
  for (const auto& [key, value] : json.items()) event[key] = value;
  log.write(event, true);
  write_report(folder);
  return json;
}

}  // namespace rung

#include <cmath>

#include "core/error.h"
#include "core/events.h"
#include "core/files.h"
#include "report/report.h"
#include "study/climb.h"
#include "study/forecast.h"
#include "study/prediction_file.h"

namespace rung {
namespace {

// A measurement so far from the prediction stands in another unit more often than a climb is so
// wrong; empty where it is nearer.
std::string unit_doubt(const Json& predicted, double measured) {
  constexpr double far = 10.0;  // half widths
  const double loss = predicted.at("loss"), away = std::abs(measured - loss);
  const double half = 0.5 * (predicted.at("hi").get<double>() - predicted.at("lo").get<double>());
  if (!(away > far * half)) return {};
  const std::string other =
      measured > loss
          ? fmt::format("a perplexity of {:g} is {:.4f} of them, {:g} bits a token are {:.4f}",
                        measured, std::log(measured), measured, measured * std::log(2.0))
          : "neither nats nor bits a byte";
  return fmt::format(
      "{:g} lies {:.3g} half widths of the interval from the prediction. --measured takes nats a "
      "token: {}.",
      measured, away / half, other);
}

}  // namespace

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
  if (const std::string doubt = unit_doubt(json.at("predicted"), measured); !doubt.empty())
    json["warnings"] = {doubt};
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

#include "plan/design_json.h"

namespace rung {

Json design_to_json(const Design& design, const DesignOptions& options) {
  const auto point = [](const Point& at) {
    Json json = Json::object();
    for (const auto& [name, value] : at) json[name] = json_number(value);
    return json;
  };
  Json runs = Json::array();
  for (const DesignRun& run : design.runs) {
    Json entry = point(run.at);
    entry["flops"] = run.flops;
    entry["variance_removed"] = json_number(run.share);
    entry["deviation_left"] = json_number(run.sd);
    runs.push_back(std::move(entry));
  }
  return {
      {"criterion", options.criterion == Criterion::target ? "target" : "d"},
      {"target", point(options.target)},
      {"runs", runs},
      {"candidates", design.candidates},
      {"flops", design.flops},
      {"loss", json_number(design.loss)},
      {"level", options.level},
      {"before", {{"lo", json_number(design.before.min)}, {"hi", json_number(design.before.max)}}},
      {"after", {{"lo", json_number(design.after.min)}, {"hi", json_number(design.after.max)}}},
      {"deviation_left", json_number(design.sd_ratio)},
      {"residual_deviation", json_number(design.residual_sd)},
      {"log_determinant", json_number(design.log_determinant)},
      {"remarks", design.remarks}};
}

}  // namespace rung

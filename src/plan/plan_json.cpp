#include "plan/plan_json.h"

namespace rung {

Json plan_to_json(const Plan& plan, const PlanOptions& options) {
  const auto range = [](const Range& r) {
    return Json{{"lo", json_number(r.min)}, {"hi", json_number(r.max)}};
  };
  Json extrapolation = Json::object();
  for (const auto& [name, ratio] : plan.prediction.extrapolation)
    extrapolation[name] = json_number(ratio);
  return {
      {"status", "planned"},
      {"N", plan.N},
      {"D", plan.D},
      {"C", plan.C},
      {"loss", plan.prediction.loss},
      {"lo", plan.prediction.lo},
      {"hi", plan.prediction.hi},
      {"level", options.level},
      {"tokens_per_parameter", plan.D / plan.N},
      {"intervals", {{"N", range(plan.N_interval)}, {"D", range(plan.D_interval)}}},
      {"flat", {{"within", options.flat}, {"N", range(plan.flat_N)}, {"D", range(plan.flat_D)}}},
      {"flops", options.flops},
      {"inference_flops", plan.inference_flops},
      {"limits", plan.limits},
      {"remarks", plan.remarks},
      {"extrapolation", extrapolation}};
}

}  // namespace rung

#include "study/climb_plan.h"

namespace rung {
namespace {

Json point_json(const PathPoint& p) {
  return {{"width", p.width},
          {"N", p.N},
          {"D", p.tokens},
          {"batch_tokens", p.batch_tokens},
          {"C", p.C}};
}

Json run_json(const PlannedRun& run) {
  Json json{{"run", run.name},
            {"kind", run.kind},
            {"members", run.members()},
            {"seeds", run.seeds},
            {"batch_factor", run.batch_factor},
            {"lr_factors", run.lr_factors},
            {"flops", run.flops()}};
  const Json point = point_json(run.point);
  for (const auto& [key, value] : point.items()) json[key] = value;
  return json;
}

}  // namespace

Json to_json(const ClimbPlan& plan) {
  Json runs = Json::array();
  for (const PlannedRun& run : plan.sweeps) runs.push_back(run_json(run));
  for (const PlannedRun& run : plan.ladder) runs.push_back(run_json(run));
  runs.push_back(run_json(plan.target));
  const double all = plan.flops();
  return {{"flops", plan.options.flops},
          {"planned_flops", all},
          {"target_share", plan.target.flops() / all},
          {"ahead", plan.ahead()},
          {"tokens_per_parameter", plan.options.tokens_per_parameter},
          {"batch_coefficient", plan.options.batch_coefficient},
          {"heads", plan.options.heads},
          {"seed", plan.options.seed},
          {"without", left_out(plan.options.measures)},
          {"train_target", plan.options.train_target},
          {"limited_by_text", plan.limited_by_text},
          {"wanted_tokens", plan.wanted_tokens},
          {"target", point_json(plan.target.point)},
          {"runs", runs}};
}

}  // namespace rung

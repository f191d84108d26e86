#include "study/climb.h"

#include <cmath>

#include "core/error.h"
#include "report/report.h"
#include "study/audit.h"
#include "study/climb_stages.h"
#include "study/forecast.h"

namespace rung {
namespace {

Json target_json(const Climb& c) {
  const PathPoint& t = c.plan.target.point;
  return {{"N", t.N},
          {"D", t.tokens},
          {"C", t.C},
          {"width", t.width},
          {"depth", c.request.base.model.depth}};
}

Json outcome_json(const Climb& c, const Json& prediction, const RunRecord* measured) {
  Json json{{"status", measured ? "done" : "predicted"},
            {"target", target_json(c)},
            {"predicted",
             {{"loss", prediction.at("loss")},
              {"lo", prediction.at("lo")},
              {"hi", prediction.at("hi")}}}};
  if (measured) {
    json["measured"] = {{"loss", measured->L}, {"se", json_number(measured->L_se)}};
    judge(json, measured->L);
    if (prediction.at("far").is_object())
      json["far"] = {{"loss", prediction.at("far").at("loss")},
                     {"relative_error",
                      (prediction.at("far").at("loss").get<double>() - measured->L) / measured->L},
                     {"extrapolation_flops", prediction.at("far").at("extrapolation_flops")}};
  }
  json["extrapolation_flops"] = c.plan.ahead();
  const double entropy = c.source->entropy(c.request.base.model.context);
  if (std::isfinite(entropy)) json["entropy"] = entropy;
  json["seconds"] = c.seconds();
  json["out"] = c.request.folder.string();
  return json;
}

void finish(Climb& c, const Json& json) {
  Json event{{"event", "end"}};
  for (const auto& [key, value] : json.items()) event[key] = value;
  c.log->write(event, true);
  write_report(c.request.folder);
}

// The error that ended the climb counts: a full disk must not put another in its place.
void record_failure(Climb& c, const Error& error) {
  try {
    if (c.log && fs::exists(c.file("plan.json")))
      finish(c, {{"status", error.kind == Failure::refused ? "refused" : "failed"},
                 {"error", error.what()}});
  } catch (const Error&) {
  }
}

Json run_stages(Climb& c) {
  open_folder(c);
  open_data(c);
  c.machine = make_machine(c.request.base.device, c.request.threads);
  c.machine.priority = c.request.priority;
  const double began = c.seconds();
  make_plan(c);
  open_log(c, began);
  write_json(c.file("audit.json"),
             audit_json(members_of(c.plan.target, c.request.base, c.request.base.train.lr,
                                   c.plan.options.batch_coefficient, c.plan.options)
                            .front(),
                        c.source->vocabulary()));
  const LrRule rule = sweep_stage(c);
  const std::vector<RunRecord> ladder = ladder_stage(c, rule);
  const Json prediction = predict_stage(c, ladder, rule);
  if (c.request.predict_only) return outcome_json(c, prediction, nullptr);
  const RunRecord measured = target_stage(c, rule);
  return outcome_json(c, prediction, &measured);
}

}  // namespace

ClimbOutcome run_climb(const ClimbRequest& request, const ClimbHooks& hooks) {
  Climb c{.request = request, .hooks = hooks};
  try {
    const Json json = run_stages(c);
    finish(c, json);
    return {.json = json};
  } catch (const Interrupted&) {
    finish(c, {{"status", "interrupted"}});
    return {.json = {{"status", "interrupted"}, {"out", request.folder.string()}},
            .interrupted = true};
  } catch (const Error& error) {
    record_failure(c, error);
    leave_no_folder(c);
    throw;
  }
}

}  // namespace rung

#include "plan/plan_json.h"

#include <cmath>

namespace rung {
namespace {

Json range_json(const Range& r) {
  return {{"lo", json_number(r.min)}, {"hi", json_number(r.max)}};
}

Json advice_json(const Advice& advice) {
  return {{"name", advice.name},          {"value", json_number(advice.value)},
          {"lo", json_number(advice.lo)}, {"hi", json_number(advice.hi)},
          {"source", advice.source},      {"note", advice.note}};
}

Json advice_list(const std::vector<Advice>& list) {
  Json json = Json::array();
  for (const Advice& advice : list) json.push_back(advice_json(advice));
  return json;
}

// 0 stands for what is not part of the choice.
Json chosen(double value) {
  return value > 0.0 ? Json(value) : Json();
}

Json alternative_json(const Alternative& a) {
  Json json = {{"bits", chosen(a.bits)},
               {"experts", chosen(a.experts)},
               {"granularity", chosen(a.granularity)},
               {"possible", a.possible}};
  if (!a.possible) return json;
  json["N"] = a.N;
  json["N_total"] = a.N_total;
  json["D"] = a.D;
  json["loss"] = json_number(a.loss);
  json["accuracy"] = json_number(a.accuracy);
  json["support"] = json_number(a.support);
  return json;
}

Json shape_json(const ShapeCandidate& c) {
  return {{"width", c.shape.width},
          {"depth", c.shape.depth},
          {"heads", c.shape.heads},
          {"head_size", c.shape.head_size},
          {"experts", c.shape.experts},
          {"N", c.shape.N},
          {"N_total", c.shape.N_total},
          {"D", c.D},
          {"loss", json_number(c.loss)},
          {"excess", json_number(c.excess)},
          {"aspect_excess", json_number(c.price - 1.0)},
          {"flops", json_number(c.flops)},
          {"seconds", json_number(c.seconds)},
          {"memory", json_number(c.memory)},
          {"latency", json_number(c.latency)}};
}

Json basin_json(const Plan& plan) {
  Json json = Json::array();
  for (const Plan::BasinPoint& p : plan.basin)
    json.push_back({{"N", p.N},
                    {"D", p.D},
                    {"loss", json_number(p.loss)},
                    {"lo", json_number(p.lo)},
                    {"hi", json_number(p.hi)}});
  return json;
}

void add_choices(const Plan& plan, Json& json) {
  if (!plan.alternatives.empty()) {
    json["choice"] = alternative_json(plan.choice);
    json["choice"]["source"] = plan.choice_source;
    json["alternatives"] = Json::array();
    for (const Alternative& a : plan.alternatives)
      json["alternatives"].push_back(alternative_json(a));
  }
  if (plan.given)
    json["given"] = {{"best_N", plan.given->best_N},
                     {"best_D", plan.given->best_D},
                     {"best_loss", json_number(plan.given->best_loss)},
                     {"excess", json_number(plan.given->excess)},
                     {"flops_share", json_number(plan.given->flops_share)}};
  if (plan.vocabulary) json["vocabulary"] = advice_json(*plan.vocabulary);
  if (plan.aspect) json["aspect"] = advice_json(*plan.aspect);
}

}  // namespace

Json plan_to_json(const Plan& plan, const PlanOptions& options) {
  Json extrapolation = Json::object(), shapes = Json::array();
  for (const auto& [name, ratio] : plan.prediction.extrapolation)
    extrapolation[name] = json_number(ratio);
  for (const ShapeCandidate& candidate : plan.shapes) shapes.push_back(shape_json(candidate));
  Json json = {
      {"status", "planned"},
      {"N", plan.N},
      {"D", plan.D},
      {"C", plan.C},
      {"loss", plan.prediction.loss},
      {"lo", plan.prediction.lo},
      {"hi", plan.prediction.hi},
      {"level", options.level},
      {"source", plan.source},
      {"tokens_per_parameter", plan.D / plan.N},
      {"intervals", {{"N", range_json(plan.N_interval)}, {"D", range_json(plan.D_interval)}}},
      {"flat",
       {{"within", options.flat}, {"N", range_json(plan.flat_N)}, {"D", range_json(plan.flat_D)}}},
      {"flops", json_number(options.flops)},
      {"inference_flops", plan.inference_flops},
      {"N_total", json_number(plan.N_total)},
      {"seconds", json_number(plan.seconds)},
      {"memory", json_number(plan.memory)},
      {"inference_memory", json_number(plan.inference_memory)},
      {"latency", json_number(plan.latency)},
      {"limits", plan.limits},
      {"shapes", shapes},
      {"batch", advice_list(plan.batch)},
      {"lr", advice_list(plan.lr)},
      {"unknown", plan.unknown},
      {"remarks", plan.remarks},
      {"extrapolation", extrapolation}};
  add_choices(plan, json);
  if (!plan.basin.empty()) json["basin"] = basin_json(plan);
  return json;
}

}  // namespace rung

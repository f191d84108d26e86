#include "law/fit_json.h"

#include <cmath>

#include "core/error.h"
#include "core/json_reason.h"
#include "law/procedure.h"

namespace rung {
namespace {

double read_number(const Json& value) {
  return value.is_null() ? std::nan("") : value.get<double>();
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(json_number(value));
  return list;
}

std::vector<double> read_numbers(const Json& list) {
  std::vector<double> values;
  for (const Json& value : list) values.push_back(read_number(value));
  return values;
}

Severity read_severity(const std::string& name) {
  for (const Severity severity : {Severity::note, Severity::warning, Severity::refusal})
    if (severity_name(severity) == name) return severity;
  fail("[fit] Unknown severity. Received {}.", name);
}

Json profiles_json(const Fit& fit) {
  Json json = Json::object();
  for (const Profile& p : fit.profiles)
    json[p.name] = {{"lo", json_number(p.lo)},           {"hi", json_number(p.hi)},
                    {"threshold", p.threshold},          {"values", numbers(p.values)},
                    {"objective", numbers(p.objective)}, {"deviance", numbers(p.deviance)}};
  return json;
}

void read_profiles(const Json& json, Fit& fit) {
  for (const Estimate& e : fit.coefficients) {
    if (!json.contains(e.name)) continue;
    const Json& p = json.at(e.name);
    fit.profiles.push_back({.name = e.name,
                            .values = read_numbers(p.at("values")),
                            .objective = read_numbers(p.at("objective")),
                            .deviance = read_numbers(p.at("deviance")),
                            .threshold = p.at("threshold").get<double>(),
                            .lo = read_number(p.at("lo")),
                            .hi = read_number(p.at("hi"))});
  }
}

Json open_ends_json(const Fit& fit) {
  Json json = Json::array();
  for (const OpenEnd& end : fit.open_ends)
    json.push_back({{"coefficient", end.coefficient},
                    {"bound", json_number(end.bound)},
                    {"values", numbers(end.values)}});
  return json;
}

void read_open_ends(const Json& json, Fit& fit) {
  for (const Json& end : json) {
    fit.open_ends.push_back({end.at("coefficient").get<std::string>(), read_number(end.at("bound")),
                             read_numbers(end.at("values"))});
    if (fit.open_ends.back().values.size() != fit.law->coefficients.size())
      fail("[fit] An open end holds {} coefficients. Received {}.", fit.law->coefficients.size(),
           fit.open_ends.back().values.size());
  }
}

// What a page draws: inputs, measured and fitted values of an even choice of rows.
Json fitted_json(const Fit& fit) {
  Json inputs = Json::array(), measured = Json::array(), law = Json::array();
  for (const FittedRow& row : fit.fitted) {
    inputs.push_back(numbers(row.inputs));
    measured.push_back(json_number(row.measured));
    law.push_back(json_number(row.law));
  }
  return {{"inputs", inputs}, {"measured", measured}, {"law", law}};
}

void read_fitted(const Json& json, Fit& fit) {
  if (!json.is_object()) return;
  for (size_t i = 0; i < json.at("inputs").size(); ++i)
    fit.fitted.push_back({read_numbers(json.at("inputs")[i]),
                          read_number(json.at("measured").at(i)),
                          read_number(json.at("law").at(i))});
}

void read_fit(const Json& json, Fit& fit) {
  fit.law =
      &find_law(json.value("part", json.value("definition", json.at("law").get<std::string>())));
  const Json& objective = json.at("objective");
  fit.objective = find_objective(objective.at("name").get<std::string>());
  if (!objective.at("delta").is_null()) fit.objective.delta = objective.at("delta").get<double>();
  fit.objective_value = read_number(objective.at("value"));
  fit.points = json.at("points").get<size_t>();
  fit.level = json.at("level").get<double>();
  fit.inputs = json.at("inputs").get<std::vector<std::string>>();
  if (fit.inputs.size() != fit.law->inputs.size())
    fail("[fit] {} has {} inputs. Received {}.", fit.law->name, fit.law->inputs.size(),
         fit.inputs.size());
  for (const auto& [name, range] : json.at("ranges").items())
    fit.ranges[name] = {range.at("min").get<double>(), range.at("max").get<double>()};
  for (const Json& d : json.at("diagnostics"))
    fit.diagnostics.push_back({d.at("code").get<std::string>(),
                               read_severity(d.at("severity").get<std::string>()),
                               d.at("text").get<std::string>()});
  if (json.at("status") == "refused") return;
  for (const Coefficient& coefficient : fit.law->coefficients) {
    const Json& entry = json.at("coefficients").at(std::string(coefficient.name));
    fit.coefficients.push_back({std::string(coefficient.name), read_number(entry.at("value")),
                                read_number(entry.at("se")), read_number(entry.at("lo")),
                                read_number(entry.at("hi")), entry.value("fixed", false),
                                entry.value("tied_to", "")});
  }
  read_profiles(json.value("profiles", Json::object()), fit);
  read_fitted(json.value("fitted", Json()), fit);
  read_open_ends(json.value("open_ends", Json::array()), fit);
  fit.residual_rms = read_number(json.at("residual_rms"));
  fit.condition = json.at("condition").is_null() ? unbounded : json.at("condition").get<double>();
  const Json predictive = json.value("predictive", Json::object());
  for (const Json& sample : predictive.value("samples", Json::array())) {
    fit.samples.push_back(read_numbers(sample));
    if (fit.samples.back().size() != fit.law->coefficients.size())
      fail("[fit] A sample holds {} coefficients. Received {}.", fit.law->coefficients.size(),
           fit.samples.back().size());
  }
  fit.sample_noise = read_numbers(predictive.value("sample_noise", Json::array()));
  fit.noise = read_numbers(predictive.value("noise", Json::array()));
  const Json growth = predictive.value("noise_growth", Json::object());
  fit.noise_growth = {growth.value("offset", 0.0),
                      read_numbers(growth.value("slopes", Json::array()))};
}

}  // namespace

namespace {

// What a procedure adds: its derivation, its further quantities, and all coefficients in one place.
void add_parts(const Fit& fit, bool samples, Json& json) {
  json["law"] = fit.procedure->name;
  json["part"] = fit.law->name;
  json["derivation"] = fit.derivation;
  json["parts"] = Json::array();
  for (const Fit& part : fit.parts) {
    Json entry = fit_to_json(part, samples);
    for (const auto& [name, value] : entry.at("coefficients").items())
      json["coefficients"][name] = value;
    json["parts"].push_back(std::move(entry));
  }
}

}  // namespace

Json fit_to_json(const Fit& fit, bool samples) {
  Json coefficients = Json::object(), ranges = Json::object(), diagnostics = Json::array();
  for (const Estimate& e : fit.coefficients) {
    Json entry = {{"value", json_number(e.value)},
                  {"se", json_number(e.se)},
                  {"lo", json_number(e.lo)},
                  {"hi", json_number(e.hi)}};
    if (e.fixed) entry["fixed"] = true;
    if (!e.tied_to.empty()) entry["tied_to"] = e.tied_to;
    coefficients[e.name] = std::move(entry);
  }
  for (const auto& [name, range] : fit.ranges)
    ranges[name] = {{"min", range.min}, {"max", range.max}};
  for (const Diagnostic& d : fit.diagnostics)
    diagnostics.push_back(
        {{"code", d.code}, {"severity", severity_name(d.severity)}, {"text", d.text}});
  const bool refused = fit.refused();
  const bool threshold = fit.objective.penalty == Penalty::huber;
  Json json = {{"status", refused ? "refused" : "fitted"},
               {"law", fit.law->name},
               {"formula", fit.law->formula},
               {"objective",
                {{"name", fit.objective.name},
                 {"log_residual", fit.objective.log_residual},
                 {"delta", threshold ? Json(fit.objective.delta) : Json()},
                 {"value", refused ? Json() : json_number(fit.objective_value)}}},
               {"points", fit.points},
               {"inputs", fit.inputs},
               {"coefficients", coefficients},
               {"level", fit.level},
               {"residual_rms", refused ? Json() : json_number(fit.residual_rms)},
               {"condition", refused ? Json() : json_number(fit.condition)},
               {"ranges", ranges},
               {"diagnostics", diagnostics},
               {"checklist", fit.checklist},
               {"data_sha256", fit.data_sha256},
               {"seconds", fit.seconds}};
  if (fit.law->target != "L") json["target"] = fit.law->target;
  if (!fit.law->definition.empty()) json["definition"] = fit.law->definition;
  if (!fit.profiles.empty()) json["profiles"] = profiles_json(fit);
  if (!fit.open_ends.empty()) json["open_ends"] = open_ends_json(fit);
  if (fit.procedure) add_parts(fit, samples, json);
  if (samples && !refused) {
    json["fitted"] = fitted_json(fit);
    Json list = Json::array();
    for (const auto& sample : fit.samples) list.push_back(numbers(sample));
    json["predictive"] = {{"noise", numbers(fit.noise)},
                          {"sample_noise", numbers(fit.sample_noise)},
                          {"samples", std::move(list)}};
    if (!fit.noise_growth.slopes.empty())
      json["predictive"]["noise_growth"] = {{"offset", json_number(fit.noise_growth.offset)},
                                            {"slopes", numbers(fit.noise_growth.slopes)}};
  }
  return json;
}

Fit fit_from_json(const Json& json, const std::string& source) {
  if (json.is_object() && json.contains("by") && json.contains("fits"))
    fail_usage(
        "[fit] {} holds {} fits, one a group of rows. `rung predict --group` takes one; for a plan "
        "or a page fit that group's rows alone (--where).",
        source, json["fits"].size());
  Fit fit;
  try {
    for (const char* key : {"law", "coefficients"}) json.at(key);  // plans have laws as well
    read_fit(json, fit);
    if (json.contains("parts")) {
      fit.procedure = find_procedure(json.at("law").get<std::string>());
      for (const Json& part : json.at("parts")) fit.parts.push_back(fit_from_json(part, source));
      fit.derivation = json.value("derivation", Json::object());
    }
    fit.checklist = json.value("checklist", Json::object());
    if (const Json::json_pointer rows("/data/rows_read"); fit.checklist.contains(rows))
      fit.rows_read = fit.checklist.at(rows).get<size_t>();
    fit.data_sha256 = json.value("data_sha256", "");
    fit.seconds = json.value("seconds", 0.0);
  } catch (const Json::exception& error) {
    fail("[fit] {} is no fit: {}. Write one with `rung fit TABLE.csv --out FIT.json`.", source,
         json_reason(error));
  }
  return fit;
}

Json prediction_to_json(const Prediction& prediction) {
  Json extrapolation = Json::object();
  for (const auto& [name, ratio] : prediction.extrapolation)
    extrapolation[name] = json_number(ratio);
  Json outside = Json::object(), sources = Json::object();
  for (const auto& [name, factor] : prediction.outside) outside[name] = json_number(factor);
  for (const auto& [name, width] : prediction.sources) sources[name] = json_number(width);
  Json json = {
      {prediction.target == "L" ? "loss" : prediction.target, json_number(prediction.loss)},
      {"lo", json_number(prediction.lo)},
      {"hi", json_number(prediction.hi)},
      {"level", prediction.level},
      {"extrapolation", extrapolation},
      {"outside", outside},
      {"sources", sources},
      {"warnings", prediction.warnings}};
  for (const BoundShare& share : prediction.at_bound)
    json["at_bound"].push_back({{"coefficient", share.coefficient},
                                {"bound", json_number(share.bound)},
                                {"other", json_number(share.other)},
                                {"prediction", json_number(share.loss)},
                                {"share", json_number(share.share)},
                                {"decides", share.decides}});
  return json;
}

}  // namespace rung

#include "law/forms.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/json_reason.h"
#include "core/nearest.h"
#include "law/column_names.h"
#include "law/fit_json.h"
#include "law/rollout.h"
#include "law/select.h"

namespace rung {
namespace {

std::string default_order(const Table& table, const std::vector<FitOptions>& options) {
  const Selection first = select_rows(table, options.front());
  if (first.quantities.contains("C")) return "C";
  for (const std::string& input : first.inputs)
    if (std::all_of(options.begin(), options.end(), [&](const FitOptions& o) {
          const Selection s = select_rows(table, o);
          return std::find(s.inputs.begin(), s.inputs.end(), input) != s.inputs.end();
        }))
      return input;
  fail_usage("[fit] {} has no C and the laws share no input to order the rungs by. Name a column.",
             table.source);
}

void check_comparable(const std::vector<FitOptions>& options) {
  const Law& first = find_law(options.front().law);
  const bool logs = objective_of(first, options.front()).log_residual;
  for (const FitOptions& o : options) {
    const Law& law = find_law(o.law);
    if (law.target != first.target || objective_of(law, o).log_residual != logs)
      fail_usage(
          "[fit] Laws that are weighed against each other predict one target with one kind of "
          "residual. Received {} and {}.",
          first.name, law.name);
  }
}

}  // namespace

std::vector<FitOptions> options_of_laws(const FitOptions& common,
                                        const std::vector<std::string>& laws) {
  if (laws.empty()) fail_usage("[fit] Laws are missing. Received an empty list.");
  std::vector<std::string_view> known;
  for (const std::string& law : laws)
    for (const Coefficient& c : find_law(law).coefficients) known.push_back(c.name);
  const auto check = [&](const std::string& name) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail_usage("[fit] None of the laws has such a coefficient. Received {}. The nearest is {}.",
                 name, nearest_name(name, known));
  };
  for (const auto& [name, value] : common.fixed) check(name);
  for (const auto& [name, bounds] : common.bounds) check(name);
  for (const auto& [name, prior] : common.priors) check(name);
  for (const auto& [first, second] : common.ties) check(first), check(second);
  std::vector<std::string_view> columns;  // that any of the laws reads
  for (const std::string& law : laws)
    for (const std::string_view name : columns_of(find_law(law))) columns.push_back(name);
  std::vector<FitOptions> result;
  for (const std::string& law : laws) {
    FitOptions own = common;
    own.law = law;
    const std::vector<std::string_view> read = columns_of(find_law(law));
    std::erase_if(own.columns, [&](const auto& entry) {
      return !reads_column(common, read, entry.first) &&
             std::find(columns.begin(), columns.end(), entry.first) != columns.end();
    });
    const auto lacks = [&](const std::string& name) {
      const auto list = find_law(law).coefficients;
      return std::none_of(list.begin(), list.end(),
                          [&](const Coefficient& c) { return c.name == name; });
    };
    const auto lacks_first = [&](const auto& entry) { return lacks(entry.first); };
    std::erase_if(own.fixed, lacks_first);
    std::erase_if(own.bounds, lacks_first);
    std::erase_if(own.priors, lacks_first);
    std::erase_if(own.ties,
                  [&](const auto& pair) { return lacks(pair.first) || lacks(pair.second); });
    result.push_back(std::move(own));
  }
  return result;
}

Forms fit_forms(const Table& table, const std::vector<FitOptions>& options, std::string order) {
  check_comparable(options);
  Forms result;
  double noise = unbounded;
  for (const FitOptions& o : options) {
    result.forms.push_back({.fit = fit_law(table, o)});
    const Fit& fit = result.forms.back().fit;
    if (!fit.refused()) noise = std::min(noise, fit.residual_rms);
  }
  result.order = order.empty() ? default_order(table, options) : std::move(order);
  if (!std::isfinite(noise)) noise = 1e-3;
  RolloutOptions rollout{.order = result.order};
  rollout.noise_floor = std::max(noise, 1e-6);
  const std::vector<Rollout> scores = score_candidates(table, make_candidates(options, 0), rollout);
  double sum = 0.0;
  for (size_t i = 0; i < scores.size(); ++i) {
    Form& form = result.forms[i];
    form.rollout_error = scores[i].score;
    form.problem = scores[i].problem;
    form.weight = form.fit.refused() ? 0.0 : scores[i].weight;
    sum += form.weight;
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    Form& form = result.forms[i];
    form.weight = sum > 0.0 ? form.weight / sum : 0.0;
    if (form.weight > 0.0) result.rollout_sd += form.weight * excess_error(scores[i], noise);
    if (form.weight > result.forms[result.best].weight) result.best = i;
  }
  return result;
}

Prediction predict_forms(const Forms& forms, const Point& at, double level) {
  if (forms.forms.size() == 1) return predict(forms.forms.front().fit, at, level);
  std::vector<Fit> fits;
  std::vector<double> weights;
  for (const Form& form : forms.forms) {
    if (!(form.weight > 0.0)) continue;
    fits.push_back(form.fit);
    weights.push_back(form.weight);
  }
  if (fits.empty()) return predict(forms.forms.at(forms.best).fit, at, level);
  return predict_mixture(fits, weights, at, level, forms.rollout_sd);
}

Json forms_to_json(const Forms& forms, bool samples) {
  Json json = fit_to_json(forms.forms.at(forms.best).fit, samples);
  if (forms.forms.size() == 1) return json;
  Json list = Json::array();
  for (size_t i = 0; i < forms.forms.size(); ++i) {
    const Form& form = forms.forms[i];
    Json entry = {{"law", form.fit.law->name},
                  {"status", form.fit.refused() ? "refused" : "fitted"},
                  {"weight", form.weight},
                  {"rollout_error", json_number(form.rollout_error)},
                  {"problem", form.problem}};
    if (i != forms.best) entry["fit"] = fit_to_json(form.fit, samples);
    list.push_back(std::move(entry));
  }
  json["forms"] = std::move(list);
  json["rollout"] = {{"order", forms.order}, {"sd", forms.rollout_sd}};
  json["checklist"]["fitting"]["hold_out"] =
      fmt::format("the largest rungs in {}, in turn, to weigh the laws", forms.order);
  return json;
}

Forms forms_from_json(const Json& json, const std::string& source) {
  Forms forms;
  if (!json.is_object() || !json.contains("forms")) {
    forms.forms.push_back({.fit = fit_from_json(json, source), .weight = 1.0});
    return forms;
  }
  try {
    forms.order = json.at("rollout").at("order").get<std::string>();
    forms.rollout_sd = json.at("rollout").at("sd").get<double>();
    for (const Json& entry : json.at("forms")) {
      const bool leads = !entry.contains("fit");
      if (leads) forms.best = forms.forms.size();
      forms.forms.push_back({.fit = fit_from_json(leads ? json : entry.at("fit"), source),
                             .weight = entry.at("weight").get<double>(),
                             .problem = entry.value("problem", "")});
      const Json& error = entry.at("rollout_error");
      forms.forms.back().rollout_error = error.is_number() ? error.get<double>() : unbounded;
    }
    forms.forms.at(forms.best);
  } catch (const Json::exception& error) {
    fail("[fit] {} is no set of fits: {}.", source, json_reason(error));
  }
  return forms;
}

}  // namespace rung

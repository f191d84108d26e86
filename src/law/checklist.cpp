#include "law/checklist.h"

#include <algorithm>
#include <cmath>

#include "law/uncertainty.h"

namespace rung {
namespace {

using std::literals::operator""sv;

Json form_record(const Selection& selection, const Problem& problem, const FitOptions& options) {
  const Law& law = *problem.law;
  Json variables = Json::object(), bounds = Json::object(), free = Json::array();
  Json fixed = Json::object(), priors = Json::object(), ties = Json::object();
  for (size_t j = 0; j < law.inputs.size(); ++j)
    variables[std::string(law.inputs[j])] = selection.inputs[j];
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& coefficient = law.coefficients[i];
    const std::string name(coefficient.name);
    if (problem.tied(i)) continue;
    if (problem.fixed(i)) {
      fixed[name] = from_theta(coefficient, problem.lo[i]);
      continue;
    }
    free.push_back(name);
    bounds[name] = {json_number(from_theta(coefficient, problem.lo[i])),
                    json_number(from_theta(coefficient, problem.hi[i]))};
  }
  for (const auto& [name, to] : options.ties) ties[name] = to;
  for (const auto& [name, value] : options.fixed) fixed[name] = value;
  for (const auto& [name, prior] : options.priors)
    priors[name] = {{"mean", prior.mean}, {"sd", prior.sd}};
  return {{"equation", law.formula}, {"source", law.source},
          {"variables", variables},  {"free", free},
          {"fixed", fixed},          {"tied", ties},
          {"bounds", bounds},        {"priors", priors}};
}

Json data_record(const Table& table, const Selection& selection, const Fit& fit,
                 const FitOptions& options) {
  Json ranges = Json::object();
  for (const auto& [name, range] : fit.ranges)
    ranges[name] = {{"min", range.min},
                    {"max", range.max},
                    {"decades", json_number(std::log10(range.max / range.min))}};
  Json columns = Json::object();
  for (const std::string_view name : {"N"sv, "D"sv, "C"sv, selection.law->target}) {
    const std::string quantity(name);
    if (const Column* column = match_column(table, quantity, options.columns))
      columns[quantity] = column->name;
  }
  return {{"source", table.source},
          {"rows_read", table.rows},
          {"rows_used", selection.rows.size()},
          {"filter", options.where},
          {"columns", columns},
          {"ranges", ranges},
          {"weights", !options.sd_column.empty()      ? "1/sd^2 from " + options.sd_column
                      : options.weight_column.empty() ? "none"
                                                      : options.weight_column}};
}

}  // namespace

Json make_checklist(const Table& table, const Selection& selection, const Problem& problem,
                    const Optimum& optimum, const Fit& fit, const FitOptions& options) {
  const bool rows = draws_rows(problem, options);
  // What a refused fit did not get to has no figure.
  const auto once = [](bool done, const Json& value) { return done ? value : Json(); };
  const bool searched = optimum.starts > 0, fitted = !fit.refused();
  const Json fitting = {
      {"loss", fit.objective.name},
      {"delta", fit.objective.penalty == Penalty::huber ? Json(fit.objective.delta) : Json()},
      {"tau", fit.objective.name == "quantile" ? Json(options.tau) : Json()},
      {"optimiser",
       "variable-projection grid, non-negative least squares, damped Newton with box bounds"},
      {"tolerance", PolishOptions{}.tolerance},
      {"starts", optimum.starts},
      {"start_objective", once(searched, json_number(optimum.start_objective))},
      {"steps", once(searched, optimum.solution.steps)},
      {"converged", once(searched, optimum.solution.converged)},
      {"hessian_condition", once(fitted, json_number(fit.condition))},
      {"interval", options.bootstrap == 0           ? "sandwich covariance"
                   : draws_blocks(problem, options) ? "block bootstrap"
                   : !rows                          ? "parametric bootstrap"
                   : options.cluster_column.empty() ? "row bootstrap"
                                                    : "cluster bootstrap"},
      {"clusters", options.cluster_column},
      {"resamples", options.bootstrap},
      {"seed", options.seed},
      {"hold_out", "none"}};
  double mean = 0.0, total = 0.0;
  const Observations& data = selection.data;
  const double n = static_cast<double>(data.rows());
  const bool logs = fit.objective.log_residual;
  const std::vector<double>& measured = logs ? data.log_loss : data.loss;
  for (const double y : measured) mean += y / n;
  for (const double y : measured) total += (y - mean) * (y - mean);
  const double left = fit.residual_rms * fit.residual_rms * n;
  const Json goodness = {
      {logs ? "rms_log_residual" : "rms_residual", once(fitted, fit.residual_rms)},
      {logs ? "r2_log" : "r2", once(fitted, json_number(1.0 - left / total))}};
  const Json not_stated = {"how N, D and C were counted", "hyperparameters and schedule per run",
                           "checkpoints per run and whether their learning rate had decayed",
                           "evaluation set and smoothing", "repeats of runs"};
  return {{"form", form_record(selection, problem, options)},
          {"data", data_record(table, selection, fit, options)},
          {"fitting", fitting},
          {"goodness", goodness},
          {"not_stated", not_stated}};
}

}  // namespace rung

#include "plan/next_runs.h"

#include <cmath>

#include "core/error.h"
#include "plan/design_json.h"

namespace rung {
namespace {

constexpr double default_share = 0.1;  // of the target's FLOPs, for all runs together

// N, D and what else the loss law reads, as planned.
Point planned_point(const Fit& fit, const Plan& plan, const PlanOptions& options) {
  Point at = options.other;
  at["N"] = plan.N;
  at["D"] = plan.D;
  const auto add = [&](const char* name, double value) {
    if (reads(fit, name) && !at.contains(name)) at[name] = value;
  };
  for (const char* bits : {"P_w", "P_a", "P_kv"}) add(bits, plan.choice.bits);
  add("E", plan.choice.experts);
  add("G", plan.choice.granularity);
  add("D_unique", options.unique_tokens);
  return at;
}

void complete(const Fit& fit, Point& at) {
  if (!at.contains("N") || !at.contains("D")) return;
  at["C"] = 6.0 * at["N"] * at["D"];
  if (reads(fit, "M")) at["M"] = at["D"] / at["N"];
}

// Candidates from a table with the law's inputs as columns; what it lacks is as at the target.
std::vector<Point> candidates_of(const Table& table, const Fit& fit, const Point& target) {
  std::vector<std::string> names{"N", "D"};
  names.insert(names.end(), fit.inputs.begin(), fit.inputs.end());
  std::vector<Point> points(table.rows, target);
  for (const std::string& name : names) {
    const Column* column = match_column(table, name, {});
    if (!column && (name == "N" || name == "D"))
      fail_usage("[plan] {} has no column {}. Candidates need N and D.", table.source, name);
    for (size_t row = 0; column && row < table.rows; ++row) {
      if (!(column->values[row] > 0.0))
        fail("[plan] {} must be positive. Received {} in {} of {}.", name, column->values[row],
             table.where(row), table.source);
      points[row][name] = column->values[row];
    }
  }
  for (Point& point : points) complete(fit, point);
  return points;
}

}  // namespace

NextDesign design_next(std::span<const PlanSource> sources, const Plan& plan,
                       const PlanOptions& options, const NextRuns& wanted) {
  const Knowledge knowledge = sort_knowledge(sources);
  if (!knowledge.loss)
    fail_usage("[plan] The next runs need a law of N and D. Received laws of C.");
  const Fit& fit = *knowledge.loss.fit;
  if (wanted.runs < 1) fail_usage("[plan] --next is at least 1. Received {}.", wanted.runs);
  NextDesign next{.options = {.runs = static_cast<size_t>(wanted.runs),
                              .criterion = wanted.criterion,
                              .target = planned_point(fit, plan, options),
                              .level = options.level}};
  DesignOptions& design = next.options;
  for (const auto& [name, value] : wanted.target) {
    if (name != "C" && !design.target.contains(name))
      fail_usage("[plan] The target's {} is no input of {}. Received {}={}.", name, fit.law->name,
                 name, value);
    design.target[name] = value;
  }
  complete(fit, design.target);
  design.flops =
      wanted.flops.value_or(default_share * 6.0 * design.target["N"] * design.target["D"]);
  design.max_run_flops = wanted.max_run_flops.value_or(design.flops);
  for (const double flops : {design.flops, design.max_run_flops})
    if (!(flops > 0.0))
      fail_usage("[plan] The FLOPs of runs must be positive. Received {}.", flops);
  if (wanted.candidates) design.candidates = candidates_of(*wanted.candidates, fit, design.target);
  next.design = design_runs(fit, design);
  return next;
}

Json next_to_json(const NextDesign& next, double rate) {
  Json json = design_to_json(next.design, next.options);
  json["seconds"] = json_number(rate > 0.0 ? next.design.flops / rate : std::nan(""));
  return json;
}

}  // namespace rung

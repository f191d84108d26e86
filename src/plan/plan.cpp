#include "plan/plan.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "plan/choice.h"
#include "plan/hyperparameters.h"
#include "plan/optimum.h"
#include "plan/shapes.h"
#include "plan/vocabulary.h"

namespace rung {
namespace {

// Every further input is one that some fit reads.
void check_inputs(std::span<const PlanSource> sources, const PlanOptions& options) {
  for (const auto& [name, value] : options.other) {
    bool known = false;
    std::vector<std::string> names;
    for (const PlanSource& source : sources) {
      known |= reads(source.fit(), name);
      for (const Fit& part : source.fit().parts) known |= reads(part, name);
      names.insert(names.end(), source.fit().inputs.begin(), source.fit().inputs.end());
    }
    if (!known)
      fail_usage("[plan] No fit given reads {}. Received {}={}. They read {}.", name, name, value,
                 fmt::join(names, ", "));
  }
}

// A budget in FLOPs bought by sizes in millions is a plan for another machine, so the fit that N
// and D come from is refused; what hangs on another one is remarked on.
void weigh_units(std::span<const PlanSource> sources, bool force, Knowledge& knowledge) {
  const Known& sizes = knowledge.loss ? knowledge.loss : knowledge.optimum;
  for (const PlanSource& source : sources) {
    const std::vector<std::string> doubts = unit_doubts(source.fit());
    if (doubts.empty()) continue;
    if (&source == sizes.from && !force)
      refuse(
          "[plan] The units of {} are in doubt, and a plan would spend its budget in them. "
          "Received {} Bring the table to ones and fit again, or go on with --force.",
          sizes.name(), doubts.front());
    // The prediction's own warnings say it of a law of N and D.
    if (&source != knowledge.loss.from)
      for (const std::string& doubt : doubts)
        knowledge.remarks.push_back(source.name + ": " + doubt);
  }
}

// What follows from N and D alone.
void fill_costs(const PlanOptions& options, double cost, Plan& plan) {
  const double bits = plan.choice.bits > 0.0 ? plan.choice.bits : options.inference_bits;
  const auto shape = given_shape(options, plan.choice);
  plan.N_total =
      shape ? shape->N_total : stored_parameters(plan.N, plan.choice.experts, options.shape);
  plan.seconds = options.rate > 0.0 ? plan.C * cost / 6.0 / options.rate : std::nan("");
  plan.memory = plan.N_total * options.bytes_per_parameter;
  plan.inference_memory = plan.N_total * bits / 8.0;
  plan.latency = options.bandwidth > 0.0 ? plan.N * bits / 8.0 / options.bandwidth : std::nan("");
  if (std::isfinite(options.seconds) && !std::isfinite(options.flops) &&
      options.inference_tokens > 0.0)
    plan.remarks.push_back(
        "The time covers training alone, so inference does not move the optimum; --flops weighs "
        "both.");
}

void fill_vocabulary(const Knowledge& knowledge, PlanOptions& options, const ShapeRule& rule,
                     Plan& plan) {
  if (!knowledge.vocabulary) {
    if (options.shape.vocabulary == 0) plan.unknown.push_back("vocabulary");
    return;
  }
  // The width of a model of this size, as the rule prefers it.
  const double k = block_factor(options.shape);
  double width = std::cbrt(rule.aspect(plan.N, options.shape) * plan.N / k);
  const auto step = static_cast<double>(width_step(static_cast<int64_t>(width), options.shape));
  width = std::max(step, std::round(width / step) * step);
  if (options.width > 0) width = static_cast<double>(options.width);
  plan.vocabulary = advise_vocabulary(knowledge.vocabulary, plan.N, plan.C, width, options.level);
  if (options.shape.vocabulary == 0)
    options.shape.vocabulary = padded_vocabulary(plan.vocabulary->value);
}

void fill_shapes(const Surface& surface, const Path& path, const PlanOptions& options,
                 const ShapeRule& rule, Plan& plan) {
  const double bits = plan.choice.bits > 0.0 ? plan.choice.bits : options.inference_bits;
  if (const auto shape = given_shape(options, plan.choice)) {
    plan.shapes = {judge_shape(surface, path, options, rule, *shape, plan.given->best_loss, bits)};
    if (options.shape.context > 0)
      plan.remarks.push_back(fmt::format(
          "Attention takes {:.3g} % of its FLOPs; the best size is counted without any.",
          100.0 * (1.0 - 6.0 * shape->N / shape->flops_per_token)));
    if (rule.prices())
      plan.remarks.push_back(
          fmt::format("Its width over depth costs {:+.3f} % of the loss beside the size, from {}.",
                      100.0 * (plan.shapes.front().price - 1.0), rule.source));
    return;
  }
  const double aspect = rule.aspect(plan.N, options.shape);
  const Range range = rule.aspect_interval(plan.N, options.shape);
  plan.aspect = Advice{.name = "width/depth",
                       .value = aspect,
                       .lo = range.min,
                       .hi = range.max,
                       .source = rule.source};
  plan.shapes = find_shapes(surface, path, options, rule, plan);
  if (plan.shapes.empty())
    plan.remarks.push_back("No real shape is near: the sizes are too small or the limits too low.");
  if (options.shape.vocabulary == 0 && !plan.shapes.empty())
    plan.remarks.push_back(
        "Shapes are counted without embedding and readout: the vocabulary is unknown, give "
        "--vocabulary.");
  if (options.shape.context == 0 && !plan.shapes.empty())
    plan.remarks.push_back(
        "Attention's FLOPs are not counted: the context is unknown, give --context.");
}

// Laws of C know the optimum and nothing beside it: shapes get its loss.
Plan plan_by_optimum(const Knowledge& knowledge, PlanOptions options, const ShapeRule& rule) {
  Plan plan{.source = knowledge.optimum.name()};
  plan.remarks = knowledge.remarks;
  read_optimum(knowledge, options, plan);
  if (!options.force) refuse_undetermined(plan.prediction, "plan");
  fill_costs(options, 6.0, plan);
  fill_vocabulary(knowledge, options, rule, plan);
  advise_hyperparameters(knowledge, options, plan);
  plan.unknown.push_back("loss of sizes beside the best");
  return plan;
}

}  // namespace

Plan make_plan(std::span<const PlanSource> sources, const PlanOptions& given, bool with_basin) {
  check_options(given);
  PlanOptions options = given;
  Knowledge knowledge = sort_knowledge(sources);
  check_inputs(sources, options);
  weigh_units(sources, options.force, knowledge);
  const ShapeRule rule = make_shape_rule(
      knowledge.shape.fit, knowledge.shape ? knowledge.shape.name() : "", options.level);
  if (!knowledge.loss) return plan_by_optimum(knowledge, options, rule);
  const Decision decision = decide(knowledge, options, rule);
  const Surface surface(knowledge, options, decision.choice);
  Plan plan{.source = knowledge.loss.name(),
            .choice = decision.choice,
            .alternatives = decision.alternatives,
            .choice_source = decision.source};
  plan.remarks = knowledge.remarks;
  plan.remarks.insert(plan.remarks.end(), decision.remarks.begin(), decision.remarks.end());
  const Path& path = decision.path;
  if (const auto shape = given_shape(options, decision.choice))
    plan_given(surface, path, options,
               {shape->N, shape->N - shape->N_router, shape->flops_per_token * path.cost / 6.0},
               plan);
  else if (options.size > 0.0)
    plan_given(surface, path, options,
               {options.size, options.size, path.flops_per_token(options.size)}, plan);
  else
    find_optimum(surface, path, options, plan);
  if (!options.force) refuse_undetermined(plan.prediction, "plan");
  fill_costs(options, path.cost, plan);
  fill_vocabulary(knowledge, options, rule, plan);
  fill_shapes(surface, path, options, rule, plan);
  advise_hyperparameters(knowledge, options, plan);
  if (decision.choice.bits == 0.0) plan.unknown.push_back("precision");
  if (decision.choice.experts == 0.0) plan.unknown.push_back("experts");
  if (with_basin) plan.basin = basin_along(surface, path, options, plan);
  return plan;
}

Plan make_plan(const Fit& fit, const PlanOptions& options) {
  Forms forms;
  forms.forms.push_back({.fit = fit, .weight = 1.0});
  const PlanSource source{.name = "", .forms = std::move(forms)};
  return make_plan({&source, 1}, options);
}

}  // namespace rung

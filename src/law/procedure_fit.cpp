#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "core/error.h"
#include "core/nearest.h"
#include "law/procedure_resample.h"
#include "law/select.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

// Every name that the caller fixes or bounds belongs to one of the laws.
void check_names(const Procedure& procedure, const FitOptions& options) {
  std::vector<std::string_view> names;
  for (const Law* law : procedure.laws)
    for (const Coefficient& c : law->coefficients) names.push_back(c.name);
  const auto check = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail_usage("[{}] It has no such coefficient. Received {}. The nearest is {}.", procedure.name,
                 name, nearest_name(name, names));
  };
  for (const auto& [name, value] : options.fixed) check(name);
  for (const auto& [name, value] : options.bounds) check(name);
  // A procedure has its own weights, groups and resamples.
  const std::pair<const char*, bool> unused[] = {{"weights", !options.weight_column.empty()},
                                                 {"sd", !options.sd_column.empty()},
                                                 {"cluster", !options.cluster_column.empty()},
                                                 {"tie", !options.ties.empty()},
                                                 {"prior", !options.priors.empty()}};
  for (const auto& [option, given] : unused)
    if (given)
      fail_usage("[{}] A procedure takes no such option. Received {}.", procedure.name, option);
}

// The record of how the points came about, beside each law's own checklist.
Json derivation_record(const Procedure& procedure, const Settings& settings, const RawRows& raw,
                       const Derivation& derivation, const FitOptions& options) {
  Json values = Json::object();
  for (const auto& [name, value] : settings) values[name] = value;
  const Redraw how = redraw_of(derivation, options);
  Json record = derivation.record;
  record["procedure"] = procedure.formula;
  record["source"] = procedure.source;
  record["settings"] = values;
  record["rows"] = raw.rows.size();
  record["columns"] = raw.names;
  record["resampling"] = options.bootstrap == 0 ? "none: the derived points' own scatter"
                         : how == Redraw::noise ? "noise around the curves of each group"
                         : how == Redraw::rows  ? "rows within each group"
                         : how == Redraw::laws  ? "each law's own bootstrap"
                                                : "whole groups";
  if (how == Redraw::noise) record["noise"] = json_number(derivation.noise);
  return record;
}

// A refused derivation as a Fit without coefficients.
Fit nothing_derived(const Procedure& procedure, const RawRows& raw, const FitOptions& options) {
  const Law* law = procedure.composed ? procedure.composed : procedure.laws.front();
  Fit fit{.law = law, .points = raw.rows.size(), .level = options.level};
  fit.objective = find_objective(fit.law->objective);
  fit.inputs.assign(fit.law->inputs.begin(), fit.law->inputs.end());
  return fit;
}

// Where each law has its own bootstrap.
Fit fit_alone(const DerivedPart& part, const FitOptions& options) {
  FitOptions own = part_options(part, options);
  own.bootstrap = options.bootstrap;
  own.resampling = options.resampling;
  own.progress = options.progress;
  return fit_law(*part.law, part.points, own);
}

// The problem counts every coefficient as free. What the derivation gave costs the residuals no
// freedom, what it estimated does (families' levels), and is as uncertain for the next measurement.
double noise_factor(const Problem& problem, const Derivation& derivation, const Fit& fit) {
  const double n = static_cast<double>(fit.points);
  const double levels = static_cast<double>(derivation.levels);
  const double fitted =
      static_cast<double>(std::count_if(fit.coefficients.begin(), fit.coefficients.end(),
                                        [](const Estimate& estimate) { return !estimate.fixed; }));
  const double counted = std::max(1.0, n - problem.free_count());
  return std::sqrt(counted / std::max(1.0, n - fitted - levels) * (1.0 + levels / n));
}

// The composed law with its laws' coefficients and resamples; refused where one of them is.
Fit compose(const Procedure& procedure, const Derivation& derivation, const FitOptions& options,
            const std::vector<Fit>& fits) {
  const Law& law = *procedure.composed;
  const FitOptions own{.objective = options.objective, .delta = options.delta};
  const Selection selection = select_rows(law, derivation.composed, own);
  const Problem problem = make_problem(selection, own);
  Fit fit{.law = &law, .objective = problem.objective, .points = selection.rows.size()};
  fit.inputs = selection.inputs;
  fit.level = options.level;
  fit.ranges = selection.ranges;
  size_t samples = fits.front().samples.size();
  for (const Fit& part : fits) {
    samples = std::min(samples, part.samples.size());
    for (const Diagnostic& d : part.diagnostics)
      if (d.severity == Severity::refusal)
        fit.diagnostics.push_back(
            {d.code, d.severity, fmt::format("{}: {}", part.law->target, d.text)});
  }
  if (fit.refused()) return fit;
  fit.samples.resize(samples);
  Vector theta(problem.size());
  for (const Fit& part : fits) {
    for (const Estimate& estimate : part.coefficients) {
      const int i = static_cast<int>(fit.coefficients.size());
      theta[i] = to_theta(law.coefficients[i], estimate.value);
      fit.coefficients.push_back(estimate);
    }
    for (size_t s = 0; s < samples; ++s)
      fit.samples[s].insert(fit.samples[s].end(), part.samples[s].begin(), part.samples[s].end());
  }
  fit.sample_noise.assign(samples, 1.0);
  fit.objective_value = objective_at(problem, theta);
  fit.noise = residual_noise(selection, problem, theta);
  const double widen = noise_factor(problem, derivation, fit);
  for (double& shift : fit.noise) shift *= widen;
  fit.residual_rms = scatter_of(problem, theta) / std::sqrt(static_cast<double>(fit.points));
  return fit;
}

// What the parts refuse is a warning of the whole as long as its first quantity stands.
void report_parts(Fit& fit) {
  for (const Fit& part : fit.parts)
    for (const Diagnostic& d : part.diagnostics)
      if (d.severity == Severity::refusal && !fit.refused())
        fit.diagnostics.push_back(
            {"part-refused", Severity::warning,
             fmt::format("{} is not determined: {}", part.law->target, d.text)});
}

// A biased rule's intervals have the bias taken off, its values have not.
void note_bias(Fit& fit) {
  std::vector<std::string> names;
  for (const Estimate& e : fit.coefficients)
    if (!e.fixed && (e.value < e.lo || e.value > e.hi)) names.push_back(e.name);
  if (!names.empty())
    fit.diagnostics.push_back(
        {"biased-rule", Severity::warning,
         fmt::format("{} outside its own interval: the rule's points are biased on these rows, "
                     "which the interval corrects and the value does not.",
                     fmt::join(names, ", "))});
}

}  // namespace

Fit fit_part(const DerivedPart& part, const FitOptions& options) {
  return fit_law(*part.law, part.points, part_options(part, options));
}

Fit fit_procedure(const Table& table, const Procedure& procedure, const FitOptions& options) {
  const auto begin = Clock::now();
  check_names(procedure, options);
  const Settings settings = read_settings(procedure, options);
  const RawRows raw = read_rows(table, procedure, options);
  const Derivation derivation = procedure.derive(raw, settings);
  // Equal derived points are equal optima of different rows, not copies.
  const auto forget_duplicates = [](Fit& fit) {
    std::erase_if(fit.diagnostics, [](const Diagnostic& d) { return d.code == "duplicate-rows"; });
  };
  const bool alone = derivation.redraw == Redraw::laws;
  std::vector<Fit> fits;
  for (const DerivedPart& part : derivation.parts)
    fits.push_back(alone ? fit_alone(part, options) : fit_part(part, options));
  if (!alone) std::for_each(fits.begin(), fits.end(), forget_duplicates);
  if (options.bootstrap > 0 && !alone && !fits.empty()) {
    std::vector<Fit*> pointers;
    for (Fit& fit : fits) pointers.push_back(&fit);
    resample_procedure(raw, procedure, settings, options, derivation, pointers);
    std::for_each(fits.begin(), fits.end(), note_bias);
  }
  Fit result;
  size_t first = 0;  // of the fits that stay parts
  if (fits.empty())
    result = nothing_derived(procedure, raw, options);
  else if (procedure.composed)
    result = compose(procedure, derivation, options, fits);
  else
    result = std::move(fits[first++]);
  result.procedure = &procedure;
  for (size_t p = first; p < fits.size(); ++p) result.parts.push_back(std::move(fits[p]));
  result.rows_read = table.rows;
  result.derivation = derivation_record(procedure, settings, raw, derivation, options);
  result.diagnostics.insert(result.diagnostics.begin(), derivation.diagnostics.begin(),
                            derivation.diagnostics.end());
  report_parts(result);
  if (!table.sha256.empty()) result.data_sha256 = table.sha256;
  if (procedure.review && !result.refused()) procedure.review(raw, settings, result);
  result.seconds = seconds_since(begin);
  return result;
}

}  // namespace rung

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"
#include "core/random.h"
#include "law/parallel.h"
#include "law/procedure.h"
#include "law/regression.h"
#include "law/select.h"
#include "law/solve.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr double most_failed = 0.1;  // of the resamples, before their intervals are doubted

// One resample's result for one quantity: coefficients, and how far its points lie off the law.
struct Redrawn {
  std::vector<double> coefficients;  // empty where it could not be derived or fitted
  double scatter = 0.0;
};

FitOptions part_options(const DerivedPart& part, const FitOptions& options) {
  FitOptions result{.law = std::string(part.law->name), .columns = part.columns, .bootstrap = 0};
  result.delta = options.delta;
  result.level = options.level;
  result.seed = options.seed;
  result.threads = options.threads;
  result.refuse = options.refuse;
  result.interrupted = options.interrupted;
  result.profile = options.profile;
  result.objective = options.objective;
  result.fixed = part.fixed;
  if (part.points.find("weight")) result.weight_column = "weight";
  // What the caller says about coefficients goes to the law that has them.
  for (const Coefficient& c : part.law->coefficients) {
    const std::string name(c.name);
    if (const auto at = options.fixed.find(name); at != options.fixed.end())
      result.fixed[name] = at->second;
    if (const auto at = options.bounds.find(name); at != options.bounds.end())
      result.bounds.insert(*at);
  }
  return result;
}

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

Redraw redraw_of(const Derivation& derivation, const FitOptions& options) {
  const bool rows = derivation.fitted.empty() || options.resampling == Resampling::rows;
  return rows && derivation.redraw == Redraw::noise ? Redraw::rows : derivation.redraw;
}

double scatter_of(const Problem& problem, const Vector& theta) {
  double sum = 0.0;
  for (const double r : residuals(problem, coefficients_of(problem, theta))) sum += r * r;
  return std::sqrt(sum);
}

RawRows with_noise(const RawRows& raw, const Procedure& procedure, const Derivation& derivation,
                   Random& random) {
  RawRows drawn = raw;
  const double factor =
      derivation.freedom > 0.0 ? noise_scale_draw(derivation.freedom, random) : 1.0;
  for (Column& column : drawn.table.columns) {
    if (column.name != procedure.measured) continue;
    for (size_t i = 0; i < column.values.size(); ++i) {
      const double z = random.normal();
      if (std::isfinite(derivation.fitted[i]))
        column.values[i] = derivation.fitted[i] * std::exp(factor * derivation.noise * z);
    }
  }
  return drawn;
}

// Rows with replacement: whole groups, or each group's among themselves.
RawRows with_rows(const RawRows& raw, const Derivation& derivation, bool whole, Random& random) {
  std::map<int, std::vector<size_t>> by_group;
  for (size_t i = 0; i < raw.rows.size(); ++i)
    by_group[derivation.group.empty() ? 0 : derivation.group[i]].push_back(i);
  std::vector<std::vector<size_t>> groups;
  for (auto& [id, members] : by_group) groups.push_back(std::move(members));
  std::vector<size_t> chosen;
  for (const auto& members : groups) {
    const auto& source = whole ? groups[random.below(groups.size())] : members;
    for (size_t i = 0; i < source.size(); ++i)
      chosen.push_back(source[whole ? i : random.below(source.size())]);
  }
  RawRows drawn{.labels = raw.labels, .names = raw.names, .listed = raw.listed};
  drawn.table.source = raw.table.source;
  drawn.rows = chosen;
  for (const Column& column : raw.table.columns)
    drawn.table.add(column.name, pick(column.values, chosen));
  return drawn;
}

// Derives again from redrawn rows and polishes every law from its own optimum.
std::vector<Redrawn> redraw(const RawRows& drawn, const Procedure& procedure,
                            const Settings& settings, const FitOptions& options,
                            const std::vector<const Fit*>& fits) {
  std::vector<Redrawn> result(fits.size());
  Derivation derivation;
  try {
    derivation = procedure.derive(drawn, settings);
  } catch (const Error& error) {
    if (error.kind == Failure::usage) throw;
    return result;
  }
  for (size_t p = 0; p < fits.size(); ++p) {
    const auto part = std::find_if(derivation.parts.begin(), derivation.parts.end(),
                                   [&](const DerivedPart& d) { return d.law == fits[p]->law; });
    if (part == derivation.parts.end() || fits[p]->coefficients.empty()) continue;
    if (part->points.rows < part->law->coefficients.size()) continue;
    const FitOptions own = part_options(*part, options);
    const Selection selection = select_rows(*part->law, part->points, own);
    const Problem problem = make_problem(selection, own);
    Vector start(problem.size());
    const std::vector<double> values = fits[p]->values();
    for (int i = 0; i < problem.size(); ++i)
      start[i] = to_theta(part->law->coefficients[i], values[i]);
    const Solution found = polish(problem, start, {.max_steps = 60, .tolerance = 1e-9});
    if (!std::isfinite(found.objective)) continue;
    const Vector c = coefficients_of(problem, found.theta);
    result[p].coefficients.assign(c.data(), c.data() + c.size());
    result[p].scatter = scatter_of(problem, found.theta);
  }
  return result;
}

// Where the derived points scatter more about their law than the rows' noise explains, the law or
// the derivation misfits: deviations grow by that ratio (in theta).
double misfit_factor(const DerivedPart& part, const Fit& fit, const FitOptions& options,
                     const std::vector<std::vector<Redrawn>>& draws, size_t p) {
  const FitOptions own = part_options(part, options);
  const Selection selection = select_rows(*part.law, part.points, own);
  const Problem problem = make_problem(selection, own);
  Vector theta(problem.size());
  for (int i = 0; i < problem.size(); ++i)
    theta[i] = to_theta(fit.law->coefficients[i], fit.coefficients[i].value);
  double sum = 0.0, count = 0.0;
  for (const auto& draw : draws) {
    if (draw[p].coefficients.empty()) continue;
    sum += draw[p].scatter * draw[p].scatter;
    count += 1.0;
  }
  const double expected = std::sqrt(sum / std::max(1.0, count));
  return expected > 0.0 ? std::max(1.0, scatter_of(problem, theta) / expected) : 1.0;
}

void set_samples(const DerivedPart& part, const FitOptions& options,
                 const std::vector<std::vector<Redrawn>>& draws, size_t p, Fit& fit) {
  if (fit.coefficients.empty()) return;
  const double widen = misfit_factor(part, fit, options, draws, p);
  const std::vector<double> centre = fit.values();
  fit.samples.clear();
  for (const auto& draw : draws) {
    if (draw[p].coefficients.empty()) continue;
    std::vector<double> sample = draw[p].coefficients;
    for (size_t i = 0; i < sample.size(); ++i) {
      const Coefficient& c = fit.law->coefficients[i];
      const double theta = to_theta(c, centre[i]);
      const double moved = theta + widen * (to_theta(c, sample[i]) - theta);
      if (std::isfinite(moved)) sample[i] = std::clamp(from_theta(c, moved), c.lo, c.hi);
    }
    fit.samples.push_back(std::move(sample));
  }
  fit.sample_noise.assign(fit.samples.size(), 1.0);
  summarise_samples(fit);
  const double failed =
      1.0 - static_cast<double>(fit.samples.size()) / static_cast<double>(draws.size());
  if (failed > most_failed)
    fit.diagnostics.push_back(
        {"unstable-derivation", Severity::warning,
         fmt::format("{}: {:.0f} % of the resamples gave no points; its interval is too narrow.",
                     fit.law->target, 100 * failed)});
}

void resample(const RawRows& raw, const Procedure& procedure, const Settings& settings,
              const FitOptions& options, const Derivation& derivation,
              const std::vector<Fit*>& fits) {
  const Redraw how = redraw_of(derivation, options);
  if (how != Redraw::noise && options.resampling == Resampling::parametric)
    fail_usage("[{}] Its rows have no curve to draw noise around. Received parametric resampling.",
               procedure.name);
  const std::vector<const Fit*> seen(fits.begin(), fits.end());
  std::vector<std::vector<Redrawn>> draws(options.bootstrap);
  parallel_for(draws.size(), options.threads, [&](size_t i) {
    stop_if(options.interrupted);
    Random random(options.seed, "procedure", i);
    const RawRows drawn = how == Redraw::noise
                              ? with_noise(raw, procedure, derivation, random)
                              : with_rows(raw, derivation, how == Redraw::groups, random);
    draws[i] = redraw(drawn, procedure, settings, options, seen);
  });
  for (size_t p = 0; p < fits.size(); ++p)
    set_samples(derivation.parts[p], options, draws, p, *fits[p]);
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
  return fit_law(*part.law, part.points, own);
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

}  // namespace

Fit fit_part(const DerivedPart& part, const FitOptions& options) {
  return fit_law(*part.law, part.points, part_options(part, options));
}

Fit fit_procedure(const Table& table, const Procedure& procedure, const FitOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
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
    resample(raw, procedure, settings, options, derivation, pointers);
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
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace rung

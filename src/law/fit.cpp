#include "law/fit.h"

#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "core/error.h"
#include "core/hash.h"
#include "law/checklist.h"
#include "law/diagnose.h"
#include "law/diagnose_note.h"
#include "law/open_end.h"
#include "law/procedure.h"
#include "law/profile.h"
#include "law/select.h"
#include "law/solve.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr int sandwich_draws = 1000;
constexpr size_t drawn_rows = 2000;

void fill_estimates(const Problem& problem, const Vector& theta, const Samples& samples, Fit& fit) {
  const Vector best = coefficients_of(problem, theta);
  for (const Vector& drawn : samples.theta) {
    const Vector c = coefficients_of(problem, drawn);
    fit.samples.emplace_back(c.data(), c.data() + c.size());
  }
  fit.sample_noise = samples.noise_factor;
  for (int i = 0; i < problem.size(); ++i) {
    Estimate estimate{.name = std::string(problem.law->coefficients[i].name), .value = best[i]};
    estimate.fixed = problem.fixed(problem.leader(i));
    if (problem.tied(i))
      estimate.tied_to = std::string(problem.law->coefficients[problem.leader(i)].name);
    fit.coefficients.push_back(estimate);
  }
  summarise_samples(fit);
}

void fill_fitted(const Problem& problem, const Vector& theta, Fit& fit) {
  const Observations& data = *problem.data;
  const std::vector<double> law = predict_rows(*problem.law, coefficients_of(problem, theta), data);
  const size_t count = std::min(drawn_rows, data.rows());
  for (size_t i = 0; i < count; ++i) {
    const size_t row = i * data.rows() / count;
    const double* x = data.x.data() + 2 * data.inputs * row;
    fit.fitted.push_back({{x, x + data.inputs}, data.loss[row], law[row]});
  }
}

// A table made in memory is known by the values that were used.
std::string data_hash(const Table& table, const Selection& selection) {
  if (!table.sha256.empty()) return table.sha256;
  std::string bytes;
  const auto append = [&](const std::vector<double>& values) {
    for (const double value : values) bytes += fmt::format("{} ", value);
  };
  append(selection.data.x);
  append(selection.data.loss);
  append(selection.data.weight);
  return sha256(bytes);
}

void check_options(const FitOptions& options) {
  if (!(options.level > 0.0 && options.level < 1.0))
    fail_usage("[fit] level lies between 0 and 1. Received {}.", options.level);
  if (options.bootstrap < 0)
    fail_usage("[fit] bootstrap cannot be negative. Received {}.", options.bootstrap);
}

void soften(std::vector<Diagnostic>& diagnostics, const FitOptions& options) {
  if (options.refuse) return;
  for (Diagnostic& diagnostic : diagnostics)
    if (diagnostic.severity == Severity::refusal) diagnostic.severity = Severity::warning;
}

// The fit's uncertainty; where drawing rows shows none, noise is drawn, and `options` says so.
Samples draw_samples(const Selection& selection, const Problem& problem, const Optimum& optimum,
                     FitOptions& options, Fit& fit) {
  const Vector& theta = optimum.solution.theta;
  if (options.bootstrap == 0)
    return sandwich(selection, problem, theta, sandwich_draws, options.seed);
  Samples samples = bootstrap(selection, problem, optimum, options.bootstrap, options);
  if (!draws_rows(problem, options) || !unmoved(samples, selection, problem, theta)) return samples;
  note(fit.diagnostics, "still-resamples", Severity::warning,
       "Most draws of {} leave every coefficient where it was, as with two rows of each run by a "
       "Huber loss. Intervals are of noise drawn around the law instead; --objective least-squares "
       "moves with the draws.",
       options.cluster_column.empty() ? "rows" : options.cluster_column);
  options.resampling = Resampling::parametric;
  return bootstrap(selection, problem, optimum, options.bootstrap, options);
}

}  // namespace

std::string_view severity_name(Severity severity) {
  constexpr std::string_view names[] = {"note", "warning", "refusal"};
  return names[static_cast<int>(severity)];
}

double NoiseGrowth::at(const std::vector<double>& inputs) const {
  constexpr double most = 10.0;
  double log_growth = offset;
  for (size_t i = 0; i < slopes.size(); ++i) log_growth += slopes[i] * std::log(inputs[i]);
  return slopes.empty() ? 1.0 : std::clamp(std::exp(log_growth), 1.0, most);
}

void summarise_samples(Fit& fit) {
  const double tail = 0.5 * (1.0 - fit.level);
  for (size_t i = 0; i < fit.coefficients.size(); ++i) {
    Estimate& estimate = fit.coefficients[i];
    if (estimate.fixed) {
      estimate.lo = estimate.hi = estimate.value;
      continue;
    }
    std::vector<double> values;
    double mean = 0.0, sum = 0.0;
    for (const auto& sample : fit.samples) values.push_back(sample[i]);
    for (const double v : values) mean += v / static_cast<double>(values.size());
    for (const double v : values) sum += (v - mean) * (v - mean);
    estimate.se =
        values.size() > 1 ? std::sqrt(sum / static_cast<double>(values.size() - 1)) : std::nan("");
    estimate.lo = quantile(values, tail);
    estimate.hi = quantile(values, 1.0 - tail);
  }
}

bool Fit::refused() const {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::refusal; });
}

std::vector<double> Fit::values() const {
  std::vector<double> result;
  for (const Estimate& estimate : coefficients) result.push_back(estimate.value);
  return result;
}

Fit fit_law(const Table& table, const FitOptions& options) {
  if (const Procedure* procedure = find_procedure(options.law)) {
    check_options(options);
    return fit_procedure(table, *procedure, options);
  }
  return fit_law(find_law(options.law), table, options);
}

Fit fit_law(const Law& law, const Table& table, const FitOptions& given) {
  const auto begin = Clock::now();
  FitOptions options = given;
  check_options(options);
  if (!options.settings.empty())
    fail_usage("[{}] A law has no settings; procedures do. Received {}={}.", law.name,
               options.settings.begin()->first, options.settings.begin()->second);
  const Selection selection = select_rows(law, table, options);
  const Problem problem = make_problem(selection, options);
  Fit fit;
  fit.law = selection.law;
  fit.made = selection.made;
  fit.objective = problem.objective;
  fit.points = selection.rows.size();
  fit.rows_read = table.rows;
  fit.inputs = selection.inputs;
  fit.level = options.level;
  fit.ranges = selection.ranges;
  fit.data_sha256 = data_hash(table, selection);
  fit.diagnostics = diagnose_design(table, selection, problem, options);
  soften(fit.diagnostics, options);
  Optimum optimum;
  if (!fit.refused()) {
    if (options.progress)
      options.progress({.label = fmt::format("{}: search", law.name), .unit = ""});
    optimum = solve(problem);
    if (!std::isfinite(optimum.solution.objective))
      fail("[fit] {} is not finite anywhere on its start grid. Received {} rows.", fit.law->name,
           fit.points);
    for (Diagnostic& found : diagnose_optimum(selection, problem, optimum, options))
      fit.diagnostics.push_back(std::move(found));
    for (Diagnostic& found :
         diagnose_residuals(table, selection, problem, optimum.solution.theta, options))
      fit.diagnostics.push_back(std::move(found));
    soften(fit.diagnostics, options);
  }
  if (!fit.refused()) {
    const Vector& theta = optimum.solution.theta;
    const Samples samples = draw_samples(selection, problem, optimum, options, fit);
    fill_estimates(problem, theta, samples, fit);
    fit.objective_value = optimum.solution.objective;
    fit.condition = hessian_condition(problem, theta);
    fit.noise = residual_noise(selection, problem, theta);
    for (const double r : residuals(problem, coefficients_of(problem, theta)))
      fit.residual_rms += r * r / static_cast<double>(fit.points);
    fit.residual_rms = std::sqrt(fit.residual_rms);
    fill_fitted(problem, theta, fit);
    if (options.profile) fit.profiles = profile_all(problem, optimum.solution, options);
    if (options.refuse) fit.open_ends = open_ends(problem, optimum.solution, options.level);
  }
  fit.checklist = make_checklist(table, selection, problem, optimum, fit, options);
  fit.seconds = seconds_since(begin);
  return fit;
}

}  // namespace rung

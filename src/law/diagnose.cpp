#include "law/diagnose.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "law/diagnose_rows.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr double constant_spread =
    0.02;  // standard deviation of a logarithm below which nothing varies
constexpr double high_correlation = 0.98;
constexpr double chi_square_95 = 3.841;  // one degree of freedom
constexpr double scaled_condition_limit = 1e10;
constexpr size_t most_profile_rows = 4000;

using List = std::vector<Diagnostic>;

template <class... Args>
void note(List& list, std::string_view code, Severity severity, fmt::format_string<Args...> format,
          Args&&... args) {
  list.push_back({std::string(code), severity, fmt::format(format, std::forward<Args>(args)...)});
}

// An input's logarithm; where it need not be positive, its value over the largest.
std::vector<double> spread_out(const Selection& selection, size_t input) {
  std::vector<double> values;
  const size_t k = selection.data.inputs;
  const bool logs = selection.law->input_rule(input).domain == Domain::positive;
  double largest = 1e-300;
  for (size_t i = 0; i < selection.data.rows(); ++i) {
    values.push_back(selection.data.x[2 * k * i + (logs ? k : 0) + input]);
    largest = std::max(largest, std::fabs(values.back()));
  }
  for (double& value : values) value /= logs ? 1.0 : largest;
  return values;
}

void check_counts(const Selection& selection, const Problem& problem, List& list) {
  const int free = problem.free_count();
  const size_t k = selection.data.inputs;
  // Priors and known deviations stand in for degrees of freedom.
  const size_t needed =
      free + (selection.sd.empty() ? 1 : 0) - std::min<size_t>(free, problem.priors.size());
  std::set<std::vector<double>> distinct;
  for (size_t i = 0; i < selection.data.rows() && distinct.size() < needed; ++i)
    distinct.emplace(selection.data.x.begin() + 2 * k * i,
                     selection.data.x.begin() + 2 * k * i + k);
  if (distinct.size() < needed)
    note(list, "too-few-points", Severity::refusal,
         "{} rows with {} distinct inputs cannot determine {} coefficients; at least {} are "
         "needed. Add rungs, fix a "
         "coefficient or choose a law with fewer.",
         selection.data.rows(), distinct.size(), free, needed);
}

// Spread of target left after a straight-line fit on the others, both in logs.
double spread_given(const std::vector<std::vector<double>>& logs, size_t target) {
  const int n = static_cast<int>(logs[target].size()), k = static_cast<int>(logs.size());
  Eigen::MatrixXd design(n, k);
  Eigen::VectorXd goal(n);
  for (int i = 0; i < n; ++i) {
    design(i, 0) = 1.0;
    goal[i] = logs[target][i];
    for (int j = 0, at = 1; j < k; ++j)
      if (j != static_cast<int>(target)) design(i, at++) = logs[j][i];
  }
  const Eigen::VectorXd fitted = design * design.colPivHouseholderQr().solve(goal);
  return std::sqrt((goal - fitted).squaredNorm() / std::max(1, n - 1));
}

double deviation(const std::vector<double>& values) {
  double mean = 0.0, sum = 0.0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / std::max(1.0, static_cast<double>(values.size()) - 1.0));
}

// Constant inputs, and inputs that span less than a decade; true when one is refused.
bool check_ranges(const Selection& selection, const std::vector<std::vector<double>>& spread,
                  List& list) {
  bool refused = false;
  for (size_t j = 0; j < spread.size(); ++j) {
    const std::string& name = selection.inputs[j];
    const Range& range = selection.ranges.at(name);
    const InputRule rule = selection.law->input_rule(j);
    if (deviation(spread[j]) < constant_spread) {
      refused |= !rule.may_be_constant;
      if (!rule.may_be_constant)
        note(list, "constant-input", Severity::refusal,
             "{} hardly varies ({:.3g} to {:.3g}), so its exponent is undetermined. Vary it, or "
             "fit a law without it.",
             name, range.min, range.max);
      continue;
    }
    const double decades = std::log10(range.max / range.min);
    if (rule.domain == Domain::positive && decades < 1.0 && !rule.may_be_constant)
      note(list, "narrow-range", Severity::warning, "{} spans {:.2f} decades, less than one.", name,
           decades);
  }
  return refused;
}

void check_inputs(const Selection& selection, List& list) {
  if (selection.law->run_input >= 0) return;  // a step alone says nothing about what varies
  std::vector<std::vector<double>> spread;
  for (size_t j = 0; j < selection.data.inputs; ++j) spread.push_back(spread_out(selection, j));
  if (check_ranges(selection, spread, list)) return;
  // Those that must vary independently of each other.
  std::vector<std::vector<double>> apart;
  std::vector<std::string> names;
  for (size_t j = 0; j < spread.size(); ++j) {
    if (selection.law->input_rule(j).may_follow || deviation(spread[j]) < constant_spread) continue;
    apart.push_back(spread[j]);
    names.push_back(selection.inputs[j]);
  }
  for (size_t j = 1; j < apart.size(); ++j) {
    const double left = spread_given(apart, j);
    const double correlation =
        std::sqrt(std::max(0.0, 1.0 - std::pow(left / deviation(apart[j]), 2)));
    if (left < constant_spread)
      note(list, "collinear", Severity::refusal,
           "{} follows from {} on every row, so their terms cannot be told apart. Vary them "
           "independently, or fit the one-variable law `power` along this path.",
           names[j], names[0]);
    else if (correlation > high_correlation)
      note(list, "collinear", Severity::warning,
           "ln {} and ln {} correlate at {:.4f}: their terms are hard to tell apart.", names[0],
           names[j], correlation);
  }
}

bool callers_bound(const FitOptions& options, std::string_view name) {
  return options.bounds.contains(std::string(name));
}

void check_bounds(const Problem& problem, const Vector& theta, const FitOptions& options,
                  List& list) {
  for (int i = 0; i < problem.size(); ++i) {
    if (problem.fixed(i) || (theta[i] > problem.lo[i] && theta[i] < problem.hi[i])) continue;
    const Coefficient& coefficient = problem.law->coefficients[i];
    const bool soft =
        coefficient.linear || coefficient.nuisance || callers_bound(options, coefficient.name);
    const double value = from_theta(coefficient, theta[i]);
    if (coefficient.linear && value == 0.0)
      note(list, "at-bound", Severity::warning,
           "{} ran to 0: these data show no {}. A prediction far beyond them will be too low if "
           "there is one.",
           coefficient.name, coefficient.meaning);
    else
      note(list, "at-bound", soft ? Severity::warning : Severity::refusal,
           "{} ({}) ends at its bound {:.4g}.", coefficient.name, coefficient.meaning, value);
  }
}

// A term counts as gone when its removal changes no prediction by more than 1e-7.
void check_terms(const Problem& problem, const Vector& theta, List& list) {
  const Vector c = coefficients_of(problem, theta);
  const std::vector<double> all = predict_rows(*problem.law, c, *problem.data);
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& coefficient = problem.law->coefficients[i];
    if (!coefficient.linear || coefficient.scale != Scale::log || problem.fixed(i)) continue;
    Vector without = c;
    for (int j = 0; j < problem.size(); ++j)
      if (problem.leader(j) == i) without[j] = 0.0;
    const std::vector<double> rest = predict_rows(*problem.law, without, *problem.data);
    double largest = 0.0;
    for (size_t row = 0; row < all.size(); ++row)
      largest = std::max(largest, std::fabs(all[row] - rest[row]) / std::fabs(all[row]));
    if (largest < 1e-7)
      note(list, "vanishing-term", Severity::refusal,
           "The {} ({}) vanishes: these data do not depend on it, so its exponent is undetermined.",
           coefficient.meaning, coefficient.name);
  }
}

// Whether a coefficient held at a bound fits as well. Of many rows an even choice is asked first:
// what it already rules out, all of them do.
bool explains(const Problem& problem, const Solution& optimum, int coefficient, double bound) {
  if (problem.law->run_input >= 0) {
    const Solution held = walk_with_fixed(problem, optimum.theta, coefficient, bound);
    return deviance(problem, optimum, held.objective) < chi_square_95;
  }
  const auto fits = [&](const Problem& asked, const Solution& best) {
    const Solution held = solve_with_fixed(asked, coefficient, bound);
    return deviance(asked, best, held.objective) < chi_square_95;
  };
  if (problem.data->rows() <= most_profile_rows) return fits(problem, optimum);
  const Observations few = thinned(*problem.data, most_profile_rows);
  Problem small = problem;
  small.data = &few;
  return fits(small, polish(small, optimum.theta)) && fits(problem, optimum);
}

void check_profiles(const Problem& problem, const Optimum& optimum, const FitOptions& options,
                    List& list) {
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& coefficient = problem.law->coefficients[i];
    const Vector& theta = optimum.solution.theta;
    const bool inside = theta[i] > problem.lo[i] && theta[i] < problem.hi[i];
    if (coefficient.linear || problem.fixed(i) || !inside ||
        callers_bound(options, coefficient.name))
      continue;
    int flat = 0;
    double side = 0.0;
    for (const double bound : {problem.lo[i], problem.hi[i]}) {
      if (!explains(problem, optimum.solution, i, bound)) continue;
      ++flat;
      side = from_theta(coefficient, bound);
    }
    const double value = from_theta(coefficient, theta[i]);
    if (flat == 2)
      note(list, "flat-profile", coefficient.nuisance ? Severity::warning : Severity::refusal,
           "{} ({}) is undetermined: its whole range fits as well as {:.4g} does.",
           coefficient.name, coefficient.meaning, value);
    else if (flat == 1)
      note(list, "flat-profile", Severity::warning,
           "{} ({}) has one open side: {:.4g} fits as well as {:.4g} does.", coefficient.name,
           coefficient.meaning, side, value);
  }
}

void check_convergence(const Problem& problem, const Optimum& optimum, List& list) {
  const Vector& theta = optimum.solution.theta;
  const Derivatives at = derivatives_at(problem, theta);
  std::vector<int> free;
  for (int i = 0; i < problem.size(); ++i)
    if (theta[i] > problem.lo[i] && theta[i] < problem.hi[i]) free.push_back(i);
  const double condition = hessian_condition(problem, theta, true);
  if (condition > scaled_condition_limit && problem.objective.penalty != Penalty::kinked)
    note(list, "ill-conditioned", Severity::warning,
         "The Hessian's condition number is {:.1e} after scaling: coefficients compensate each "
         "other; trust predictions "
         "near the data, not single coefficients.",
         condition);
  // What one more step along the majorizer would promise.
  double promised = 0.0;
  for (const int i : free)
    promised =
        std::max(promised, at.gradient[i] * at.gradient[i] / std::max(at.majorizer(i, i), 1e-300));
  const bool uphill = promised > 1e-4 * (optimum.solution.objective + 1e-12) &&
                      problem.objective.penalty != Penalty::kinked;
  if (optimum.solution.steps == 0 && uphill)
    note(list, "start-not-moved", Severity::refusal,
         "The fit never left its start, which is no minimum.");
  else if (!optimum.solution.converged || uphill)
    note(list, "not-converged", Severity::warning,
         "The polish stopped after {} steps before it had converged.", optimum.solution.steps);
}

// One power law against a smoothly broken one of fixed width, by BIC (its two more coefficients
// paid for).
void check_bend(const Selection& selection, const Problem& problem, const Optimum& optimum,
                const FitOptions& options, List& list) {
  const size_t n = selection.data.rows();
  if (problem.law->name != "power" || n < 7) return;
  Selection bent = selection;
  bent.law = &find_law("broken-power");
  FitOptions broken = options;
  broken.law = "broken-power";
  broken.fixed = {{"f", 0.3}};
  broken.bounds.clear();
  broken.priors.clear();
  if (const auto fixed = options.fixed.find("E"); fixed != options.fixed.end())
    broken.fixed["E"] = fixed->second;
  const Problem alternative = make_problem(bent, broken);
  const Solution found = solve(alternative).solution;
  const double gain = deviance(alternative, found, optimum.solution.objective);
  if (gain < 2.0 * std::log(static_cast<double>(n)) + 6.0) return;
  const Vector c = coefficients_of(alternative, found.theta);
  note(list, "bend", Severity::warning,
       "The data bend at {} = {:.3g} (exponent {:.3f} before, {:.3f} after): drop the rows below "
       "the bend, or fit "
       "`broken-power`.",
       selection.inputs[0], c[4], c[2], c[3]);
}

}  // namespace

std::vector<Diagnostic> diagnose_design(const Table& table, const Selection& selection,
                                        const Problem& problem, const FitOptions& options) {
  List list = selection.bound;
  check_counts(selection, problem, list);
  check_inputs(selection, list);
  for (Diagnostic& found : diagnose_rows(table, selection, options))
    list.push_back(std::move(found));
  return list;
}

std::vector<Diagnostic> diagnose_optimum(const Selection& selection, const Problem& problem,
                                         const Optimum& optimum, const FitOptions& options) {
  List list;
  const Vector& theta = optimum.solution.theta;
  check_convergence(problem, optimum, list);
  check_bounds(problem, theta, options, list);
  check_terms(problem, theta, list);
  check_profiles(problem, optimum, options, list);
  check_bend(selection, problem, optimum, options, list);
  return list;
}

}  // namespace rung

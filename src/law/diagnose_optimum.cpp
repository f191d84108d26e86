#include <algorithm>
#include <cmath>
#include <set>

#include "law/diagnose.h"
#include "law/diagnose_note.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

constexpr double chi_square_95 = 3.841;  // one degree of freedom
constexpr double scaled_condition_limit = 1e10;
constexpr size_t most_profile_rows = 4000;

using List = Diagnostics;

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

// What can be done about a bend depends on what lies beyond it: the power law there needs rows
// enough to be fitted, and `broken-power` an exponent to find.
std::string bend_advice(const Problem& problem, const Selection& selection, double at) {
  const size_t enough = problem.law->coefficients.size() + 1;
  std::set<double> before, beyond;
  for (size_t i = 0; i < selection.data.rows(); ++i) {
    const double x = selection.data.x[2 * selection.data.inputs * i];
    (x < at ? before : beyond).insert(x);
  }
  const std::string& name = selection.inputs[0];
  if (before.empty()) return "no row lies before it that could be dropped: fit `broken-power`.";
  if (beyond.size() >= enough) return "drop the rows below the bend, or fit `broken-power`.";
  return fmt::format(
      "{} of {} values of {} lie beyond it, too few for a law of their own. Check that these rows "
      "were trained like the others; if so, add runs beyond {:.3g} before predicting there.",
      beyond.size(), before.size() + beyond.size(), name, beyond.empty() ? at : *beyond.rbegin());
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
       "The data bend at {} = {:.3g} (exponent {:.3f} before, {:.3f} after): {}",
       selection.inputs[0], c[4], c[2], c[3], bend_advice(problem, selection, c[4]));
}

}  // namespace

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

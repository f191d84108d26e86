// From a selection and the caller's options to the fitting problem: bounds, fixed and tied
// coefficients, priors.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/select.h"

namespace rung {
namespace {

void set_bounds(Problem& problem, int i, double lo, double hi) {
  const Coefficient& coefficient = problem.law->coefficients[i];
  if (coefficient.scale == Scale::log && (lo < 0.0 || hi <= 0.0))
    fail_usage("[fit] {} is positive. Received {} .. {}.", coefficient.name, lo, hi);
  if (!(lo <= hi))
    fail_usage("[fit] Bounds of {} are reversed. Received {} .. {}.", coefficient.name, lo, hi);
  problem.lo[i] = to_theta(coefficient, lo);
  problem.hi[i] = to_theta(coefficient, hi);
}

// The law's own bounds, the caller's, and fixed values.
void bound_coefficients(const Selection& selection, const FitOptions& options, Problem& problem) {
  const Law& law = *problem.law;
  for (int i = 0; i < problem.size(); ++i) {
    const Coefficient& coefficient = law.coefficients[i];
    set_bounds(problem, i, coefficient.lo, coefficient.hi);
    if (coefficient.held) set_bounds(problem, i, coefficient.typical, coefficient.typical);
    if (coefficient.along_input < 0) continue;
    const Range range = selection.ranges.at(selection.inputs[coefficient.along_input]);
    set_bounds(problem, i, range.min, range.max);
  }
  for (const auto& [name, bounds] : options.bounds) {
    const int i = find_coefficient(law, name);
    const Coefficient& coefficient = law.coefficients[i];
    // A side that is left open keeps the law's own bound.
    set_bounds(problem, i, bounds.first == -INFINITY ? coefficient.lo : bounds.first,
               bounds.second == INFINITY ? coefficient.hi : bounds.second);
  }
  for (const auto& [name, value] : options.fixed)
    set_bounds(problem, find_coefficient(law, name), value, value);
}

// Both of a tied pair keep to the bounds of each.
void tie(Problem& problem, const std::string& first, const std::string& second) {
  const Law& law = *problem.law;
  const int follower = problem.leader(find_coefficient(law, first));
  const int leader = problem.leader(find_coefficient(law, second));
  if (first == second)
    fail_usage("[fit] A coefficient cannot be tied to itself. Received {}={}.", first, second);
  if (follower == leader) return;
  const Coefficient &a = law.coefficients[follower], &b = law.coefficients[leader];
  if (a.linear != b.linear || a.scale != b.scale)
    fail_usage(
        "[fit] Only coefficients of one kind can be tied. Received {} and {}: a factor of a term "
        "and an exponent, or a positive one and one of any sign.",
        first, second);
  if (problem.tied_to.empty()) problem.tied_to.assign(problem.size(), -1);
  for (int& to : problem.tied_to)
    if (to == follower) to = leader;
  problem.tied_to[follower] = leader;
  problem.lo[leader] = std::max(problem.lo[leader], problem.lo[follower]);
  problem.hi[leader] = std::min(problem.hi[leader], problem.hi[follower]);
  if (problem.lo[leader] > problem.hi[leader])
    fail_usage("[fit] The bounds of tied coefficients do not meet. Received {} and {}.", first,
               second);
  problem.lo[follower] = problem.hi[follower] = 0.0;
}

}  // namespace

Problem make_problem(const Selection& selection, const FitOptions& options) {
  const Law& law = *selection.law;
  Problem problem{.law = &law, .data = &selection.data, .objective = objective_of(law, options)};
  if (!(options.delta > 0.0))
    fail_usage("[fit] delta must be positive. Received {}.", options.delta);
  if (!(options.tau > 0.0 && options.tau < 1.0))
    fail_usage("[fit] tau lies between 0 and 1. Received {}.", options.tau);
  problem.objective.delta = options.delta;
  if (problem.objective.name == "quantile") {
    problem.objective.under = options.tau;
    problem.objective.over = 1.0 - options.tau;
  }
  problem.lo.resize(problem.size());
  problem.hi.resize(problem.size());
  bound_coefficients(selection, options, problem);
  for (const auto& [first, second] : options.ties) tie(problem, first, second);
  for (const auto& [name, prior] : options.priors) {
    if (!(prior.sd > 0.0))
      fail_usage("[fit] A prior's sd must be positive. Received {} for {}.", prior.sd, name);
    problem.priors.push_back({problem.leader(find_coefficient(law, name)), prior.mean, prior.sd});
  }
  return problem;
}

}  // namespace rung

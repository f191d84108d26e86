// Fits with planted coefficients, as if they had been fitted without error.
#pragma once
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "law/laws/laws.h"
#include "plan/plan.h"

namespace rung::planted {

constexpr double E = 1.8, A = 480.0, B = 2100.0, alpha = 0.35, beta = 0.37;

// A fit of a law at given coefficients, its samples scattered by `spread` (relative) about those
// named in `scattered`.
inline Fit fit_of(const Law& law, std::vector<double> c, double spread = 0.0,
                  std::vector<size_t> scattered = {}) {
  Fit fit{.law = &law};
  fit.inputs.assign(law.inputs.begin(), law.inputs.end());
  for (size_t i = 0; i < c.size(); ++i)
    fit.coefficients.push_back({.name = std::string(law.coefficients[i].name), .value = c[i]});
  Random random(3, "plan");
  for (int s = 0; s < 200; ++s) {
    std::vector<double> sample = c;
    for (const size_t i : scattered) sample[i] *= 1.0 + spread * random.normal();
    fit.samples.push_back(sample);
  }
  fit.objective = find_objective(law.objective);
  fit.noise = {-0.003, 0.0, 0.003};
  return fit;
}

inline Fit chinchilla(double spread = 0.0, std::vector<double> c = {E, A, B, alpha, beta}) {
  Fit fit = fit_of(chinchilla_law, std::move(c), spread, {3, 4});
  fit.ranges = {{"N", {1e7, 1e10}}, {"D", {1e9, 1e12}}, {"C", {1e17, 1e22}}};
  return fit;
}

inline double loss_at(double n, double d) {
  return E + A * std::pow(n, -alpha) + B * std::pow(d, -beta);
}

// Hoffmann et al. 2022, equation 4.
inline double closed_form(double flops) {
  const double g = std::pow(alpha * A / (beta * B), 1.0 / (alpha + beta));
  return g * std::pow(flops / 6.0, beta / (alpha + beta));
}

inline PlanSource source(Fit fit, std::string name = "fit.json") {
  PlanSource result{.name = std::move(name), .forms = {}};
  result.forms.forms.push_back({.fit = std::move(fit), .weight = 1.0});
  return result;
}

inline Plan plan_of(std::vector<PlanSource> sources, const PlanOptions& options) {
  return make_plan(sources, options);
}

// Which kind of failure a call ends in, with its text.
template <class Call>
std::pair<Failure, std::string> failure_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return {error.kind, error.what()};
  }
  return {Failure::failed, "nothing was thrown"};
}

}  // namespace rung::planted

#include "plan/optimum.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/uncertainty.h"
#include "plan/search.h"

namespace rung {
namespace {

// Beyond this factor between the ends of the interval of N the fit says nothing about the optimum.
constexpr double widest_interval = 100.0;

bool open_end(const Path& path, double at) {
  // The largest size is an answer where a limit stops it, or where all have the same data.
  return at == path.lo || (at == path.hi && path.hi_limit.empty() && !path.data_limited(path.hi));
}

// Optima of the fit's samples; refuses when too many of them lie nowhere or anywhere.
std::vector<double> sample_optima(const Surface& surface, const Path& path, double level) {
  std::vector<double> optima;
  size_t open = 0;
  for (size_t s = 0; s < surface.samples(); ++s) {
    const double at = lowest_point(path.lo, path.hi, [&](double log_n) {
      return surface(static_cast<int>(s), std::exp(log_n), path.tokens(log_n));
    });
    open += open_end(path, at);
    optima.push_back(at);
  }
  const double share = static_cast<double>(open) / std::max<double>(1.0, double(optima.size()));
  if (share > 0.5 * (1.0 - level))
    refuse(
        "[plan] The data do not determine the optimum: {:.0f} % of the resampled fits have none "
        "between one parameter and one token. Add rungs that vary N and D against each other.",
        100.0 * share);
  if (optima.empty()) return optima;
  const double width = quantile(optima, 0.5 * (1 + level)) - quantile(optima, 0.5 * (1 - level));
  if (width > std::log(widest_interval))
    refuse(
        "[plan] The data do not determine the optimum: the {:g} % interval of N spans a factor of "
        "{:.3g}. Add rungs that vary N and D against each other.",
        100.0 * level, std::exp(width));
  return optima;
}

double best_size(const Surface& surface, const Path& path) {
  return lowest_point(path.lo, path.hi, [&](double log_n) {
    return surface(Surface::best, std::exp(log_n), path.tokens(log_n));
  });
}

// `each`: training FLOPs a token of the planned model.
void note_limits(const Path& path, double each, Plan& plan) {
  const bool at_end = std::fabs(std::log(plan.N) - path.hi) < 1e-9;  // N went through exp
  if (at_end && !path.hi_limit.empty()) plan.limits.push_back(path.hi_limit);
  plan.limits.push_back(path.tokens_limit(plan.N, each));
  const double compute = std::min(path.training, path.life);
  const double used =
      each * plan.D + (std::isfinite(path.life) ? 2.0 * plan.N * path.inference_tokens : 0.0);
  if (std::isfinite(compute) && used < 0.999 * compute && plan.limits.back() == path.data_limit)
    plan.remarks.push_back(
        fmt::format("The limits leave {:.3g} of the FLOPs unused.", 1.0 - used / compute));
}

void note_extrapolation(Plan& plan) {
  for (const auto& [name, factor] : plan.prediction.outside)
    if (factor > 100.0)
      plan.remarks.push_back(fmt::format(
          "{} lies {:.3g} times outside the data: no check there is possible.", name, factor));
  for (const std::string& warning : plan.prediction.warnings) plan.remarks.push_back(warning);
}

// No optimum between one parameter and one token: a budget far below every run is at fault itself.
void refuse_open_end(const Surface& surface, const Path& path, double at, double level) {
  constexpr double far_below = 1000.0;
  const double n = std::exp(at), d = path.tokens(at);
  const Prediction there = surface.predict(n, d, level);
  const auto outside = there.outside.find("C");
  if (outside != there.outside.end() && outside->second > far_below &&
      there.extrapolation.at("C") < 1.0)
    fail_usage(
        "[plan] Under this budget the best model has less than one {}. Received {:.4g} FLOPs, "
        "{:.3g} times less than the smallest run of the fit's data. Give a larger budget.",
        at == path.lo ? "parameter" : "token", 6.0 * n * d, outside->second);
  refuse(
      "[plan] The law has no optimum under this budget: its loss falls all the way to one {}. "
      "The data do not show what N and D are worth against each other.",
      at == path.lo ? "parameter" : "token");
}

}  // namespace

void set_place(Plan& plan, const PlanOptions& options, double n, double d, double c) {
  plan.N = n;
  plan.D = d;
  plan.C = c;
  plan.inference_flops = 2.0 * n * options.inference_tokens;
}

void find_optimum(const Surface& surface, const Path& path, const PlanOptions& options,
                  Plan& plan) {
  const auto loss = [&](double log_n) {
    return surface(Surface::best, std::exp(log_n), path.tokens(log_n));
  };
  const double at = best_size(surface, path);
  if (open_end(path, at)) refuse_open_end(surface, path, at, options.level);
  const double n = std::exp(at), d = path.tokens(at);
  set_place(plan, options, n, d, 6.0 * path.flops_per_token(n) / path.cost * d);
  std::vector<double> optima = sample_optima(surface, path, options.level);
  optima.push_back(at);
  const double lo = std::min(at, quantile(optima, 0.5 * (1.0 - options.level)));
  const double hi = std::max(at, quantile(optima, 0.5 * (1.0 + options.level)));
  plan.N_interval = {std::exp(lo), std::exp(hi)};
  plan.D_interval = {path.tokens(hi), path.tokens(lo)};
  const double limit = loss(at) * (1.0 + options.flat);
  const double flat_lo = stretch_end(at, path.lo, limit, loss);
  const double flat_hi = stretch_end(at, path.hi, limit, loss);
  plan.flat_N = {std::exp(flat_lo), std::exp(flat_hi)};
  plan.flat_D = {path.tokens(flat_hi), path.tokens(flat_lo)};
  note_limits(path, path.flops_per_token(plan.N), plan);
  plan.prediction = surface.predict(plan.N, plan.D, options.level);
  note_extrapolation(plan);
}

void plan_given(const Surface& surface, const Path& path, const PlanOptions& options,
                const GivenSize& size, Plan& plan) {
  const auto [n, n_of_laws, each] = size;
  const double d = path.tokens_at(n, each);
  if (!(d >= 1.0))
    fail_usage(
        "[plan] The budget leaves a model of this size less than one token. Received {:.4g}.", n);
  if (std::log(n) > path.hi && !path.hi_limit.empty())
    plan.remarks.push_back(fmt::format("The given size lies beyond the limit {}: {:.4g} at most.",
                                       path.hi_limit, std::exp(path.hi)));
  Plan best = plan;
  find_optimum(surface, path, options, best);
  set_place(plan, options, n, d, 6.0 * each / path.cost * d);
  plan.N_interval = {n, n};
  plan.D_interval = {d, d};
  plan.flat_N = best.flat_N;
  plan.flat_D = best.flat_D;
  plan.prediction = surface.predict(n_of_laws, d, options.level);
  const double loss = surface(Surface::best, n_of_laws, d);
  const double least = surface(Surface::best, best.N, best.D);
  Given given{.best_N = best.N, .best_D = best.D, .best_loss = least, .excess = loss / least - 1.0};
  // The share of the FLOPs at which the best size reaches no more than the given one does.
  double lo = std::log(1e-6), hi = 0.0;
  for (int i = 0; i < 50; ++i) {
    const double middle = 0.5 * (lo + hi);
    Path less = path;
    less.training *= std::exp(middle);
    less.life *= std::exp(middle);
    less.inference_tokens *= std::exp(middle);  // so that serving takes the same share
    if (less.hi_limit.empty()) less.hi += middle;
    const double best_n = best_size(surface, less);
    const double reached = surface(Surface::best, std::exp(best_n), less.tokens(best_n));
    (reached > loss ? lo : hi) = middle;
  }
  const bool compute_bound = std::isfinite(path.training) || std::isfinite(path.life);
  given.flops_share = compute_bound ? std::exp(hi) : std::nan("");
  plan.given = given;
  note_limits(path, each, plan);
  note_extrapolation(plan);
}

std::vector<Plan::BasinPoint> basin_along(const Surface& surface, const Path& path,
                                          const PlanOptions& options, const Plan& plan) {
  if (!std::isfinite(plan.flat_N.min)) return {};
  constexpr int points = 49;
  const double centre = plan.given ? plan.given->best_N : plan.N;
  // Four times the near-optimal set to each side, and the given size.
  double lo = std::log(plan.flat_N.min) - 0.9 * std::log(centre / plan.flat_N.min) - 0.2;
  double hi = std::log(plan.flat_N.max) + 0.9 * std::log(plan.flat_N.max / centre) + 0.2;
  lo = std::max(path.lo, std::min(lo, std::log(plan.N) - 0.1));
  hi = std::min(path.hi, std::max(hi, std::log(plan.N) + 0.1));
  std::vector<Plan::BasinPoint> basin;
  for (int i = 0; i < points; ++i) {
    const double at = lo + (hi - lo) * i / (points - 1), d = path.tokens(at);
    if (!(d >= 1.0)) continue;
    const Prediction p = surface.predict(std::exp(at), d, options.level);
    basin.push_back({std::exp(at), d, surface(Surface::best, std::exp(at), d), p.lo, p.hi});
  }
  return basin;
}

}  // namespace rung

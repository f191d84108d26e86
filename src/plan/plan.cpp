#include "plan/plan.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

// Beyond this factor between the ends of the interval of N the fit says nothing about the optimum.
constexpr double widest_interval = 100.0;
constexpr int scan_points = 96;

// The sizes that spend the whole budget within the limits, as ln N.
struct Path {
  double flops = 0.0, inference_tokens = 0.0;
  double lo = 0.0, hi = 0.0;
  bool lo_limited = false, hi_limited = false;  // by a limit, not by the budget alone

  double tokens(double log_n) const {
    return (flops / std::exp(log_n) - 2.0 * inference_tokens) / 6.0;
  }
};

// The quantity of a procedure's fit, the fit itself included; null when it has none of that name.
const Fit* quantity(const Fit& fit, std::string_view target) {
  if (fit.law->target == target) return &fit;
  for (const Fit& part : fit.parts)
    if (part.law->target == target) return &part;
  return nullptr;
}

void check(const Fit& fit, const PlanOptions& options) {
  if (fit.refused() || fit.coefficients.empty()) {
    std::string reasons;
    for (const Diagnostic& d : fit.diagnostics)
      if (d.severity == Severity::refusal)
        reasons += fmt::format("{}[{}] {}", reasons.empty() ? "" : " ", d.code, d.text);
    refuse("[plan] The fit was refused. Received {}", reasons.empty() ? "no reason." : reasons);
  }
  const auto positive = [](const char* name, double value) {
    if (!(value > 0.0)) fail_usage("[plan] {} must be positive. Received {}.", name, value);
  };
  positive("flops", options.flops);
  positive("max-tokens", options.max_tokens);
  positive("max-params", options.max_params);
  positive("memory", options.memory);
  positive("bytes-per-parameter", options.bytes_per_parameter);
  if (!std::isfinite(options.flops))
    fail_usage("[plan] flops must be finite. Received {}.", options.flops);
  if (!(options.inference_tokens >= 0.0) || !std::isfinite(options.inference_tokens))
    fail_usage("[plan] inference-tokens must be finite and not negative. Received {}.",
               options.inference_tokens);
  if (fit.law->target != "L" && !quantity(fit, "N_opt"))
    fail_usage("[plan] {} gives {}, not a loss. Fit a law of the loss.", fit.law->name,
               fit.law->target);
}

// The point at which the law is evaluated: N, D, C = 6 N D, M = D/N where it reads that, and the
// rest as given.
Point point_at(const Fit& fit, const PlanOptions& options, double n, double d) {
  Point at = options.other;
  at["N"] = n;
  at["D"] = d;
  at["C"] = 6.0 * n * d;
  const auto& names = fit.law->inputs;
  if (std::find(names.begin(), names.end(), "M") != names.end()) at["M"] = d / n;
  return at;
}

// Inputs of the law in its order; usage error when one is missing.
class LossAt {
 public:
  LossAt(const Fit& fit, const PlanOptions& options) : fit_(fit), options_(options) {
    bool size = false, data = false;
    for (size_t i = 0; i < fit.inputs.size(); ++i) {
      names_.push_back(known(fit.inputs[i]) ? fit.inputs[i] : std::string(fit.law->inputs[i]));
      const std::string& name = names_.back();
      size |= name == "N" || name == "M" || name == "C";
      data |= name == "D" || name == "M" || name == "C";
      count_ += name == "N" || name == "D" || name == "M" || name == "C";
      if (!known(name))
        fail_usage("[plan] {} also reads {}. Give it: --with {}=VALUE.", fit.law->name, name, name);
    }
    if (!size || !data || count_ < 2)
      fail_usage(
          "[plan] {} does not read N and D, so it knows no trade-off between them. Received "
          "inputs {}. Fit a law of both, such as chinchilla.",
          fit.law->name, fmt::join(fit.inputs, ", "));
  }

  double operator()(const std::vector<double>& c, double n, double d) const {
    double values[max_inputs];
    for (size_t i = 0; i < names_.size(); ++i) {
      const std::string& name = names_[i];
      values[i] = name == "N"   ? n
                  : name == "D" ? d
                  : name == "C" ? 6.0 * n * d
                  : name == "M" ? d / n
                                : options_.other.at(name);
    }
    const double loss = evaluate_law(*fit_.law, c, {values, names_.size()});
    return std::isfinite(loss) ? loss : unbounded;
  }

 private:
  bool known(const std::string& name) const {
    return name == "N" || name == "D" || name == "C" || name == "M" ||
           options_.other.contains(name);
  }

  const Fit& fit_;
  const PlanOptions& options_;
  std::vector<std::string> names_;
  int count_ = 0;
};

Path make_path(const PlanOptions& options, std::vector<std::string>& limits) {
  Path path{.flops = options.flops, .inference_tokens = options.inference_tokens};
  // At least one token and one parameter.
  path.hi = std::log(options.flops / (6.0 + 2.0 * options.inference_tokens));
  path.lo = 0.0;
  const double by_memory = options.memory / options.bytes_per_parameter;
  const double most = std::min(options.max_params, by_memory);
  if (std::log(most) < path.hi) {
    path.hi = std::log(most);
    path.hi_limited = true;
    limits.push_back(options.max_params <= by_memory ? "max-params" : "memory");
  }
  const double least = options.flops / (6.0 * options.max_tokens + 2.0 * options.inference_tokens);
  if (std::isfinite(options.max_tokens) && std::log(least) > path.lo) {
    path.lo = std::log(least);
    path.lo_limited = true;
    limits.push_back("max-tokens");
  }
  return path;
}

// The lowest point of `loss` over [lo, hi]: the best of an even scan, then golden sections.
template <class Loss>
double minimise(double lo, double hi, Loss&& loss) {
  double best = lo, least = unbounded;
  const double step = (hi - lo) / (scan_points - 1);
  for (int i = 0; i < scan_points; ++i) {
    const double value = loss(lo + i * step);
    if (value < least) least = value, best = lo + i * step;
  }
  double a = std::max(lo, best - step), b = std::min(hi, best + step);
  constexpr double golden = 0.6180339887498949;
  double left = b - golden * (b - a), right = a + golden * (b - a);
  double at_left = loss(left), at_right = loss(right);
  // Below about 1e-8 of ln N the loss differs by rounding alone.
  while (b - a > 1e-9 * std::max(1.0, std::fabs(best))) {
    if (at_left <= at_right) {
      b = right, right = left, at_right = at_left;
      left = b - golden * (b - a), at_left = loss(left);
    } else {
      a = left, left = right, at_left = at_right;
      right = a + golden * (b - a), at_right = loss(right);
    }
  }
  const double inner = 0.5 * (a + b);
  // Ends of the range are exact minima where the loss falls towards them.
  for (const double end : {lo, hi})
    if (loss(end) <= loss(inner) && std::fabs(inner - end) < step) return end;
  return inner;
}

// The end of the stretch around `from` whose loss stays at most `limit`, towards `to`.
template <class Loss>
double edge(double from, double to, double limit, Loss&& loss) {
  double inside = from;
  constexpr int steps = 200;
  for (int i = 1; i <= steps; ++i) {
    const double next = from + (to - from) * i / steps;
    if (loss(next) > limit) {
      double outside = next;
      for (int halving = 0; halving < 50; ++halving) {
        const double middle = 0.5 * (inside + outside);
        (loss(middle) > limit ? outside : inside) = middle;
      }
      return inside;
    }
    inside = next;
  }
  return to;
}

// Optima of the fit's samples; refuses when too many of them lie nowhere or anywhere.
std::vector<double> sample_optima(const Fit& fit, const LossAt& loss_at, const Path& path,
                                  double level) {
  std::vector<double> optima;
  size_t open = 0;
  for (const std::vector<double>& c : fit.samples) {
    const double at = minimise(path.lo, path.hi, [&](double log_n) {
      return loss_at(c, std::exp(log_n), path.tokens(log_n));
    });
    open += (at == path.lo && !path.lo_limited) || (at == path.hi && !path.hi_limited);
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

void fill_place(Plan& plan, const PlanOptions& options, double n, double d) {
  plan.N = n;
  plan.D = d;
  plan.C = 6.0 * n * d;
  plan.inference_flops = 2.0 * n * options.inference_tokens;
}

// More budget than the limits can use: both at their limits.
Plan saturated(const PlanOptions& options, const Path& path) {
  Plan plan;
  fill_place(plan, options, std::exp(path.hi), options.max_tokens);
  plan.remarks.push_back(fmt::format("The limits leave {:.3g} of the FLOPs unused.",
                                     1.0 - (plan.C + plan.inference_flops) / options.flops));
  plan.N_interval = plan.flat_N = {plan.N, plan.N};
  plan.D_interval = plan.flat_D = {plan.D, plan.D};
  return plan;
}

Plan interior(const Fit& fit, const PlanOptions& options, const LossAt& loss_at, const Path& path) {
  const std::vector<double> best = fit.values();
  const auto loss = [&](double log_n) {
    return loss_at(best, std::exp(log_n), path.tokens(log_n));
  };
  const double at = minimise(path.lo, path.hi, loss);
  if ((at == path.lo && !path.lo_limited) || (at == path.hi && !path.hi_limited))
    refuse(
        "[plan] The law has no optimum under this budget: its loss falls all the way to one {}. "
        "The data do not show what N and D are worth against each other.",
        at == path.lo ? "parameter" : "token");
  Plan plan;
  fill_place(plan, options, std::exp(at), path.tokens(at));
  std::vector<double> optima = sample_optima(fit, loss_at, path, options.level);
  optima.push_back(at);
  const double lo = std::min(at, quantile(optima, 0.5 * (1.0 - options.level)));
  const double hi = std::max(at, quantile(optima, 0.5 * (1.0 + options.level)));
  plan.N_interval = {std::exp(lo), std::exp(hi)};
  plan.D_interval = {path.tokens(hi), path.tokens(lo)};
  const double limit = loss(at) * (1.0 + options.flat);
  const double flat_lo = edge(at, path.lo, limit, loss), flat_hi = edge(at, path.hi, limit, loss);
  plan.flat_N = {std::exp(flat_lo), std::exp(flat_hi)};
  plan.flat_D = {path.tokens(flat_hi), path.tokens(flat_lo)};
  if (at == path.lo) plan.limits.push_back("max-tokens");
  return plan;
}

Prediction optimum_of(const Fit& fit, const char* target, double flops, double level) {
  const Fit* part = quantity(fit, target);
  if (!part || part->refused())
    refuse("[plan] The fit does not determine {}. Received a fit of {}.", target, fit.law->name);
  return predict(*part, {{"C", flops}}, level);
}

// From laws of the optimum over C.
Plan plan_of_optima(const Fit& fit, const PlanOptions& options) {
  if (options.inference_tokens > 0.0 || std::isfinite(options.max_tokens) ||
      std::isfinite(options.max_params) || std::isfinite(options.memory))
    fail_usage(
        "[plan] {} knows the optimum of training alone: no limits, no inference. Fit a law "
        "of N and D.",
        fit.law->name);
  const Prediction n = optimum_of(fit, "N_opt", options.flops, options.level);
  const Prediction d = optimum_of(fit, "D_opt", options.flops, options.level);
  Plan plan;
  fill_place(plan, options, n.loss, options.flops / (6.0 * n.loss));
  plan.N_interval = {n.lo, n.hi};
  plan.D_interval = {d.lo, d.hi};
  plan.flat_N = plan.flat_D = {std::nan(""), std::nan("")};
  plan.prediction = optimum_of(fit, "L_opt", options.flops, options.level);
  const double off = 6.0 * n.loss * d.loss / options.flops;
  if (std::fabs(std::log(off)) > std::log(1.05))
    plan.remarks.push_back(
        fmt::format("D is C/(6 N); the law of D_opt says {:.4g}, {:.3g} times that.", d.loss, off));
  return plan;
}

}  // namespace

Plan make_plan(const Fit& fit, const PlanOptions& options) {
  check(fit, options);
  if (quantity(fit, "N_opt")) return plan_of_optima(fit, options);
  const LossAt loss_at(fit, options);
  std::vector<std::string> limits;
  const Path path = make_path(options, limits);
  if (!(path.hi > 0.0))
    fail_usage(
        "[plan] The budget and the limits leave less than one parameter. Received {:g} "
        "FLOPs.",
        options.flops);
  Plan plan = path.lo >= path.hi ? saturated(options, path) : interior(fit, options, loss_at, path);
  if (path.lo >= path.hi) plan.limits = limits;
  if (path.lo < path.hi && path.hi_limited && plan.N >= std::exp(path.hi))
    plan.limits.push_back(limits.front());
  plan.prediction = predict(fit, point_at(fit, options, plan.N, plan.D), options.level);
  for (const auto& [name, ratio] : plan.prediction.extrapolation)
    if (ratio > 100.0)
      plan.remarks.push_back(fmt::format(
          "{} lies {:.3g} times beyond the data: no check there is possible.", name, ratio));
  return plan;
}

}  // namespace rung

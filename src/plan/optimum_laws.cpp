#include <cmath>

#include "core/error.h"
#include "plan/optimum.h"

namespace rung {
namespace {

Prediction optimum_of(const Fit& fit, const char* target, double flops, double level) {
  const Fit* part = quantity(fit, target);
  if (!part || part->refused())
    refuse("[plan] The fit does not determine {}. Received a fit of {}.", target, fit.law->name);
  return predict(*part, {{"C", flops}}, level);
}

}  // namespace

void read_optimum(const Knowledge& knowledge, const PlanOptions& options, Plan& plan) {
  const Fit& fit = knowledge.optimum.from->fit();
  const bool limited = options.inference_tokens > 0.0 || std::isfinite(options.max_tokens) ||
                       std::isfinite(options.max_params) || std::isfinite(options.memory) ||
                       std::isfinite(options.unique_tokens) ||
                       std::isfinite(options.inference_memory) || std::isfinite(options.latency) ||
                       options.size > 0.0 || options.width > 0;
  if (limited)
    fail_usage(
        "[plan] {} knows the optimum of training alone: no limits, no inference, no given size. "
        "Fit a law of N and D.",
        fit.law->name);
  const double flops = std::min(
      options.flops, std::isfinite(options.seconds) ? options.seconds * options.rate : unbounded);
  if (!std::isfinite(flops))
    fail_usage(
        "[plan] Nothing bounds the size. Give a budget: --flops, or --time with --hardware.");
  const Prediction n = optimum_of(fit, "N_opt", flops, options.level);
  const Prediction d = optimum_of(fit, "D_opt", flops, options.level);
  set_place(plan, options, n.loss, flops / (6.0 * n.loss), flops);
  plan.limits.push_back(flops < options.flops ? "time" : "flops");
  plan.N_interval = {n.lo, n.hi};
  plan.D_interval = {d.lo, d.hi};
  plan.flat_N = plan.flat_D = {std::nan(""), std::nan("")};
  plan.prediction = optimum_of(fit, "L_opt", flops, options.level);
  const double off = 6.0 * n.loss * d.loss / flops;
  if (std::fabs(std::log(off)) > std::log(1.05))
    plan.remarks.push_back(
        fmt::format("D is C/(6 N); the law of D_opt says {:.4g}, {:.3g} times that.", d.loss, off));
}

}  // namespace rung

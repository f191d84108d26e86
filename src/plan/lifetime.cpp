#include "plan/lifetime.h"

#include <array>
#include <cmath>

#include "core/error.h"
#include "law/invert.h"

namespace rung {
namespace {

constexpr double least_count = 1.0, most_count = 1e25;  // of parameters and of tokens

// The sizes (ln N) that can reach the loss: below them no data suffice, above a single token does.
std::array<double, 2> size_range(const Law& law, std::span<const double> c, double loss) {
  const auto reaches = [&](double N, double D) {
    return evaluate_law(law, c, std::array{N, D}) < loss;
  };
  const auto size_at = [&](double D) {
    return std::log(solve_input(law, c, {0.0, D}, 0, loss, least_count, most_count));
  };
  if (!reaches(most_count, most_count))
    fail("[plan] No size and no data reach this loss. Received {}.", loss);
  const double lo =
      reaches(least_count, most_count) ? std::log(least_count) : size_at(most_count) + 1e-9;
  const double hi = reaches(most_count, least_count) ? size_at(least_count) : std::log(most_count);
  return {lo, hi};
}

// Where `cost`, which has one minimum, is least in [lo, hi]: golden section.
template <class Cost>
double minimise(Cost&& cost, double lo, double hi) {
  const double ratio = 0.5 * (std::sqrt(5.0) - 1.0);
  double left = hi - ratio * (hi - lo), right = lo + ratio * (hi - lo);
  double at_left = cost(left), at_right = cost(right);
  while (hi - lo > 1e-7) {
    if (at_left < at_right) {
      hi = right;
      right = left;
      at_right = at_left;
      left = hi - ratio * (hi - lo);
      at_left = cost(left);
    } else {
      lo = left;
      left = right;
      at_left = at_right;
      right = lo + ratio * (hi - lo);
      at_right = cost(right);
    }
  }
  return 0.5 * (lo + hi);
}

}  // namespace

LifetimeOptimum lifetime_optimum(const Law& law, std::span<const double> c, double loss,
                                 double inference_tokens) {
  if (law.inputs.size() != 2 || law.inputs[0] != "N" || law.inputs[1] != "D")
    fail_usage("[plan] A lifetime optimum needs a law of N and D. Received {}.", law.name);
  if (!(inference_tokens >= 0.0))
    fail_usage("[plan] Inference tokens cannot be negative. Received {}.", inference_tokens);
  const auto at = [&](double log_N) {
    const double N = std::exp(log_N);
    const double D = solve_input(law, c, {N, 0.0}, 1, loss, least_count, most_count);
    return LifetimeOptimum{N, D, 6.0 * N * D, 2.0 * N * inference_tokens};
  };
  const auto cost = [&](double log_N) {
    const LifetimeOptimum point = at(log_N);
    return point.training_flops + point.inference_flops;
  };
  const auto [lo, hi] = size_range(law, c, loss);
  return at(minimise(cost, lo, hi));
}

}  // namespace rung

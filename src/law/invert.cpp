#include "law/invert.h"

#include <cmath>

#include "core/error.h"

namespace rung {

double solve_input(const Law& law, std::span<const double> c, std::vector<double> values,
                   size_t input, double target, double lo, double hi) {
  const auto excess = [&](double log_value) {
    values[input] = std::exp(log_value);
    return evaluate_law(law, c, values) - target;
  };
  double below = std::log(lo), above = std::log(hi);
  const double at_lo = excess(below), at_hi = excess(above);
  if (!(at_lo * at_hi <= 0.0))
    fail(
        "[law] {} takes no value {} for {} between {:.4g} and {:.4g}. Received a range of {:.6g} "
        "to {:.6g}.",
        law.name, target, law.inputs[input], lo, hi, at_lo + target, at_hi + target);
  while (above - below > 1e-13 * std::fmax(1.0, std::fabs(below))) {
    const double middle = 0.5 * (below + above);
    if (middle <= below || middle >= above) break;
    ((excess(middle) > 0.0) == (at_lo > 0.0) ? below : above) = middle;
  }
  return std::exp(0.5 * (below + above));
}

}  // namespace rung

#include "scaling/constraint.h"

#include <cmath>

#include "core/error.h"

namespace rung {
namespace {

using Scales = std::span<const double>;

double geometric_mean(Scales s) {
  double sum = 0.0;
  for (const double scale : s) sum += std::log(scale);
  return std::exp(sum / static_cast<double>(s.size()));
}
double harmonic_mean(Scales s) {
  double sum = 0.0;
  for (const double scale : s) sum += 1.0 / scale;
  return static_cast<double>(s.size()) / sum;
}
double arithmetic_mean(Scales s) {
  double sum = 0.0;
  for (const double scale : s) sum += scale;
  return sum / static_cast<double>(s.size());
}

// One line a constraint; `size` is how many scales it chooses among, 0 any number.
struct Constraint {
  std::string_view name;
  size_t size;
  double (*choose)(Scales);
};
constexpr std::array constraints = {
    Constraint{"gmean", 0, geometric_mean},
    Constraint{"hmean", 0, harmonic_mean},
    Constraint{"amean", 0, arithmetic_mean},
    Constraint{"to_output_scale", 0, [](Scales s) { return s[0]; }},
    Constraint{"to_grad_input_scale", 2, [](Scales s) { return s[1]; }},
    Constraint{"to_left_grad_scale", 3, [](Scales s) { return s[1]; }},
    Constraint{"to_right_grad_scale", 3, [](Scales s) { return s[2]; }}};

}  // namespace

std::vector<double> constrained(std::string_view constraint, Scales scales) {
  if (constraint == "none") return {scales.begin(), scales.end()};
  std::vector<std::string_view> names{"none"};
  for (const Constraint& known : constraints) {
    names.push_back(known.name);
    if (known.name != constraint) continue;
    if (scales.empty() || (known.size != 0 && known.size != scales.size()))
      fail_usage("[unit scaling] {} chooses among {} scales. Received {}.", constraint, known.size,
                 scales.size());
    return std::vector<double>(scales.size(), known.choose(scales));
  }
  fail_usage("[unit scaling] No constraint of this name. Received {}. Known: {}.", constraint,
             fmt::join(names, ", "));
}

OpFactor constrained(std::string_view constraint, const OpFactor& factor) {
  const double scales[] = {factor.forward, factor.backward};
  const std::vector<double> both = constrained(constraint, scales);
  return {both[0], both[1]};
}

}  // namespace rung

#include "model/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace rung {

int32_t sample_token(std::span<const float> logits, const Sampling& sampling, Random& random) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)] ||
           (logits[static_cast<size_t>(a)] == logits[static_cast<size_t>(b)] && a < b);
  };
  if (std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); }))
    fail("[generate] The model's logits are not numbers. Received {} of them.", logits.size());
  size_t kept = order.size();
  if (sampling.top_k > 0) kept = std::min(kept, static_cast<size_t>(sampling.top_k));
  if (sampling.temperature <= 0.0) kept = 1;
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    likelier);
  if (kept == 1) return order[0];
  const double top = logits[static_cast<size_t>(order[0])];
  std::vector<double> weight(kept);
  double total = 0.0;
  for (size_t i = 0; i < kept; ++i) {
    const double x = logits[static_cast<size_t>(order[i])];
    total += weight[i] = std::exp((x - top) / sampling.temperature);
  }
  double left = random.uniform() * total;
  for (size_t i = 0; i < kept; ++i)
    if ((left -= weight[i]) < 0.0) return order[i];
  return order[kept - 1];
}

}  // namespace rung

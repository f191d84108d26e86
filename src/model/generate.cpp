#include "model/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace rung {

namespace {

// How many of the weights, which fall, the nucleus and the floor leave; at least one.
size_t likely_enough(const std::vector<double>& weight, const Sampling& sampling) {
  const double wanted = sampling.top_p * std::accumulate(weight.begin(), weight.end(), 0.0);
  double sum = 0.0;
  size_t kept = 0;
  while (kept < weight.size() &&
         (kept == 0 || (sum < wanted && weight[kept] >= sampling.min_p * weight[0])))
    sum += weight[kept++];
  return kept;
}

}  // namespace

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
  for (size_t i = 0; i < kept; ++i) {
    const double x = logits[static_cast<size_t>(order[i])];
    weight[i] = std::exp((x - top) / sampling.temperature);
  }
  if (sampling.top_p < 1.0 || sampling.min_p > 0.0) kept = likely_enough(weight, sampling);
  weight.resize(kept);
  double left = random.uniform() * std::accumulate(weight.begin(), weight.end(), 0.0);
  for (size_t i = 0; i < kept; ++i)
    if ((left -= weight[i]) < 0.0) return order[i];
  return order[kept - 1];
}

}  // namespace rung

// Quantiles of draws.
#pragma once
#include <cstddef>
#include <vector>

namespace rung {

// Of values in ascending order, of which there is one at least: the value itself at the place, none
// between two.
inline double sorted_quantile(const std::vector<double>& values, double q) {
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

}  // namespace rung

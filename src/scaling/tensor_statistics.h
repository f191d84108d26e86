// How large a tensor's elements are, and what number formats would lose of them: the "annotated
// model" of unit scaling (Blake et al. 2023, arXiv 2303.11257).
#pragma once
#include <cstdint>
#include <vector>

#include "core/number_format.h"

namespace rung {

// Shares of a tensor's non-zero elements that rounding takes out of a format's normal range.
struct RangeLoss {
  double underflow = 0.0, subnormal = 0.0, overflow = 0.0;
  double lost() const { return underflow + overflow; }
};

// In one format: as the numbers are, and after a multiplication by 2^exponent, the best of one
// static scale: of those under which nothing overflows, that with the least underflow, then the
// fewest subnormal numbers, then the one nearest to 1.
struct FormatFit {
  RangeLoss plain, scaled;
  int exponent = 0;
};

struct TensorStatistics {
  int64_t count = 0, zeros = 0;
  int64_t not_finite = 0;                         // left out of everything below
  double mean = 0.0, deviation = 0.0, rms = 0.0;  // zeros included
  double abs_min = 0.0, abs_max = 0.0;            // of non-zero elements; 0 where none is
  double low = 0.0, median = 0.0, high = 0.0;     // their quantiles at 0.1 %, 50 %, 99.9 %
  std::vector<FormatFit> formats;                 // as number_formats()
};

// `values` are taken by value: they become sorted magnitudes.
TensorStatistics tensor_statistics(std::vector<double> values);

}  // namespace rung

#include "scaling/tensor_statistics.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace rung {
namespace {

using Sorted = std::vector<double>;

// Shares of sorted non-zero magnitudes times 2^exponent. What a format says of a magnitude changes
// once along the order, so that each border is found by halving.
RangeLoss range_loss(const Sorted& x, const NumberFormat& format, int exponent) {
  const auto border = [&](auto below) {
    const auto at = std::partition_point(x.begin(), x.end(),
                                         [&](double v) { return below(std::ldexp(v, exponent)); });
    return static_cast<double>(at - x.begin());
  };
  const double n = static_cast<double>(x.size());
  const double zero = border([&](double v) { return format.underflows(v); });
  const double small =
      border([&](double v) { return format.underflows(v) || format.is_subnormal(v); });
  const double fits = border([&](double v) { return !format.overflows(v); });
  return {zero / n, (small - zero) / n, (n - fits) / n};
}

// Larger scales lose less among the small: below the largest that overflows nothing only those that
// lose no more and are nearer to 1 can be best.
FormatFit fit_format(const Sorted& x, const NumberFormat& format) {
  int highest = std::ilogb(format.largest()) - std::ilogb(x.back()) + 1;
  while (format.overflows(std::ldexp(x.back(), highest))) --highest;
  const auto worth = [&](int exponent) {
    const RangeLoss loss = range_loss(x, format, exponent);
    return std::tuple(loss.underflow, loss.subnormal, exponent);
  };
  FormatFit fit{.plain = range_loss(x, format, 0), .scaled = {}, .exponent = highest};
  for (int exponent = 0; exponent < highest; ++exponent)
    if (worth(exponent) < worth(fit.exponent)) fit.exponent = exponent;
  fit.scaled = range_loss(x, format, fit.exponent);
  return fit;
}

}  // namespace

TensorStatistics tensor_statistics(std::vector<double> values) {
  TensorStatistics s{.count = static_cast<int64_t>(values.size())};
  double sum = 0.0, squares = 0.0;
  size_t kept = 0;
  int64_t finite = 0;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    ++finite;
    sum += v;
    squares += v * v;
    if (v != 0.0) values[kept++] = std::abs(v);
  }
  values.resize(kept);
  s.not_finite = s.count - finite;
  s.zeros = finite - static_cast<int64_t>(kept);
  const double n = static_cast<double>(std::max<int64_t>(finite, 1));
  s.mean = sum / n;
  s.rms = std::sqrt(squares / n);
  s.deviation = std::sqrt(std::max(0.0, squares / n - s.mean * s.mean));
  s.formats.resize(number_formats().size());
  if (values.empty()) return s;
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double q) {
    return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
  };
  s.abs_min = values.front();
  s.abs_max = values.back();
  s.low = quantile(0.001);
  s.median = quantile(0.5);
  s.high = quantile(0.999);
  for (size_t i = 0; i < s.formats.size(); ++i)
    s.formats[i] = fit_format(values, number_formats()[i]);
  return s;
}

}  // namespace rung

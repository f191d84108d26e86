#include "study/loss_curve.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/random.h"
#include "law/law.h"

namespace rung {
namespace {

// y at x on the line through ascending points; beyond them the end's slope, or with `flat` its
// value.
double on_line(const std::vector<double>& xs, const std::vector<double>& ys, double x, bool flat) {
  if (xs.size() == 1) return ys.front();
  if (flat) x = std::clamp(x, xs.front(), xs.back());
  size_t i = 1;
  while (i + 1 < xs.size() && x > xs[i]) ++i;
  return ys[i - 1] + (ys[i] - ys[i - 1]) * (x - xs[i - 1]) / (xs[i] - xs[i - 1]);
}

// The candidate that a number in [0, 1) falls to.
size_t pick(const std::vector<double>& weights, double u) {
  for (size_t i = 0; i + 1 < weights.size(); ++i) {
    if (u < weights[i]) return i;
    u -= weights[i];
  }
  return weights.size() - 1;
}

// The runs of one size, summed.
struct SizeSum {
  double n = 0.0, c = 0.0, log_loss = 0.0, seconds = 0.0, count = 0.0;
};

std::map<int64_t, SizeSum> by_size(std::span<const RunRecord> runs) {
  std::map<int64_t, SizeSum> sums;
  for (const RunRecord& r : runs) {
    SizeSum& sum = sums[r.N];
    sum.n = static_cast<double>(r.N), sum.c += r.C, sum.log_loss += std::log(r.L);
    sum.count += 1.0;
    sum.seconds += std::isfinite(r.seconds) ? r.seconds : 0.0;
  }
  return sums;
}

double mean_log_loss(const Forecast& f, double n) {
  double mean = 0.0;
  for (size_t i = 0; i < f.fits.size(); ++i)
    mean += f.weights[i] * std::log(predict_loss(f.fits[i], {{"N", n}}));
  return mean;
}

// By how much the law misses the mean of each size's runs, in ln L beyond what seeds explain;
// straight lines in ln N between sizes.
class Misfit {
 public:
  Misfit(std::span<const RunRecord> runs, const Forecast& f) {
    for (const auto& [n, sum] : by_size(runs)) {
      const double residual = sum.log_loss / sum.count - mean_log_loss(f, sum.n);
      n_.push_back(std::log(sum.n));
      sd_.push_back(
          std::sqrt(std::max(0.0, residual * residual - f.seed_sd * f.seed_sd / sum.count)));
    }
  }
  double at(double n) const { return on_line(n_, sd_, std::log(n), true); }

 private:
  std::vector<double> n_, sd_;
};

}  // namespace

SpentPath::SpentPath(std::span<const RunRecord> runs, std::span<const RunRecord> timed) {
  for (const auto& [n, sum] : by_size(runs)) {
    c_.push_back(std::log(sum.c / sum.count));
    n_.push_back(std::log(sum.n));
  }
  for (const auto& [n, sum] : by_size(timed.empty() ? runs : timed)) {
    timed_c_.push_back(std::log(sum.c / sum.count));
    rate_.push_back(std::log(sum.c / std::max(1e-9, sum.seconds)));
  }
}

double SpentPath::N_at(double flops) const {
  return std::exp(on_line(c_, n_, std::log(flops), false));
}

double SpentPath::seconds_at(double flops) const {
  return flops / std::exp(on_line(timed_c_, rate_, std::log(flops), true));
}

double SpentPath::flops_in(double seconds) const {
  double low = std::log(1e-6) + c_.front(), high = std::log(1e12) + c_.back();
  for (int i = 0; i < 80; ++i) {
    const double middle = 0.5 * (low + high);
    (seconds_at(std::exp(middle)) < seconds ? low : high) = middle;
  }
  return std::exp(low);
}

LossCurve loss_curve(const Contender& contender, std::span<const double> N,
                     const ForecastOptions& options, int64_t draws) {
  double largest = 0.0;
  for (const RunRecord& r : contender.runs) largest = std::max(largest, static_cast<double>(r.N));
  const double farthest = std::max(2.0 * largest, *std::max_element(N.begin(), N.end()));
  const RunRecord& last =
      *std::max_element(contender.runs.begin(), contender.runs.end(),
                        [](const RunRecord& a, const RunRecord& b) { return a.N < b.N; });
  const double times = farthest / largest;  // along the path D ~ N and C ~ N^2
  const Forecast f = forecast(contender.runs,
                              {.N = static_cast<int64_t>(farthest),
                               .tokens = static_cast<int64_t>(static_cast<double>(last.D) * times),
                               .C = last.C * times * times},
                              options);
  // Rollout's errors are of steps of about this size.
  const double reach = std::log(farthest / largest);
  const Misfit misfit(contender.runs, f);
  const auto deviation = [&](double n) {
    const double beyond = std::max(0.0, std::log(n / largest));
    return std::hypot(f.extra_sd() * beyond / reach, contender.missed * beyond, misfit.at(n));
  };
  LossCurve curve;
  for (const double n : N) curve.loss.push_back(std::exp(mean_log_loss(f, n)));
  Random random(options.seed, "loss curve " + contender.name);
  for (int64_t d = 0; d < draws; ++d) {
    const Fit& fit = f.fits[pick(f.weights, random.uniform())];
    const std::vector<double>& coefficients =
        fit.samples.empty() ? fit.values() : fit.samples[random.below(fit.samples.size())];
    const double shift = random.normal();
    std::vector<double> losses;
    for (const double n : N)
      losses.push_back(evaluate_law(*fit.law, coefficients, std::span(&n, 1)) *
                       std::exp(shift * deviation(n)));
    curve.draws.push_back(std::move(losses));
  }
  return curve;
}

}  // namespace rung

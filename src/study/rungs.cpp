#include "study/rungs.h"

#include <algorithm>
#include <cmath>

namespace rung {

std::map<int64_t, double> rung_deviations(std::span<const RunRecord> ladder, double& pooled) {
  std::map<int64_t, std::vector<double>> logs;
  for (const RunRecord& r : ladder) logs[r.N].push_back(std::log(r.L));
  std::map<int64_t, std::pair<double, double>> squares;  // sum of squares, degrees of freedom
  double total = 0.0, freedom = 0.0;
  for (const auto& [n, values] : logs) {
    double mean = 0.0, sum = 0.0;
    for (const double v : values) mean += v / static_cast<double>(values.size());
    for (const double v : values) sum += (v - mean) * (v - mean);
    squares[n] = {sum, static_cast<double>(values.size()) - 1.0};
    total += sum;
    freedom += squares[n].second;
  }
  constexpr double floor = 1e-3, virtual_runs = 4.0;
  pooled = std::max(floor, freedom > 0.0 ? std::sqrt(total / freedom) : 0.006);
  std::map<int64_t, double> deviations;
  for (const auto& [n, entry] : squares)
    deviations[n] = std::max(floor, std::sqrt((entry.first + virtual_runs * pooled * pooled) /
                                              (entry.second + virtual_runs)));
  return deviations;
}

std::vector<Rung> rung_means(std::span<const RunRecord> ladder,
                             const std::map<int64_t, double>& deviations, int64_t above) {
  struct Sum {
    double logs = 0.0, C = 0.0, count = 0.0;
  };
  std::map<int64_t, Sum> sums;
  for (const RunRecord& r : ladder) {
    if (r.N <= above) continue;
    Sum& sum = sums[r.N];
    sum.logs += std::log(r.L), sum.C += r.C, sum.count += 1.0;
  }
  std::vector<Rung> rungs;
  for (const auto& [n, sum] : sums) {
    const double sd = deviations.at(n);
    rungs.push_back({std::log(static_cast<double>(n)), sum.logs / sum.count, sd * sd / sum.count,
                     sum.C / sum.count});
  }
  return rungs;
}

}  // namespace rung

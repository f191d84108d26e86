#include "study/rate_line.h"

#include <cmath>

#include "law/regression.h"

namespace rung {
namespace {

// The best point of a line with its neighbours, and all others within 1.5 %: bowls are parabolas
// only near their bottom.
std::vector<BowlPoint> near_best(const std::vector<BowlPoint>& points) {
  size_t best = 0;
  for (size_t i = 0; i < points.size(); ++i)
    if (points[i].loss < points[best].loss) best = i;
  std::vector<BowlPoint> near;
  for (size_t i = 0; i < points.size(); ++i)
    if ((i + 1 >= best && i <= best + 1) || points[i].loss <= 1.015 * points[best].loss)
      near.push_back(points[i]);
  return near;
}

}  // namespace

double seed_mean(const std::map<uint64_t, double>& losses) {
  double sum = 0.0;
  for (const auto& [seed, loss] : losses) sum += loss / static_cast<double>(losses.size());
  return sum;
}

std::vector<BowlPoint> seed_means_of(const RateLine& line) {
  std::vector<BowlPoint> points;
  for (const auto& [lr, losses] : line)
    if (const double mean = seed_mean(losses); std::isfinite(mean)) points.push_back({lr, mean});
  return points;
}

std::vector<BowlPoint> of_seed(const RateLine& line, uint64_t seed) {
  std::vector<BowlPoint> points;
  for (const auto& [lr, losses] : line)
    if (const auto found = losses.find(seed); found != losses.end() && std::isfinite(found->second))
      points.push_back({lr, found->second});
  return points;
}

BowlFit line_bowl(const std::vector<BowlPoint>& points) {
  constexpr double noise = 2e-3, curvature = 0.012, window = 1.0;
  return fit_bowl(near_best(points), noise, curvature, window);
}

double standard_error_of(const std::vector<double>& values) {
  return deviation_of(values) / std::sqrt(static_cast<double>(values.size()));
}

}  // namespace rung

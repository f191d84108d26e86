#include "study/ranking.h"

#include <algorithm>
#include <cmath>

#include "core/sorted_quantile.h"

namespace rung {
namespace {

// Between two points of the axis, straight in logarithms.
struct Place {
  size_t before = 0;
  double share = 0.0;
  double in(const std::vector<double>& losses) const {
    return losses[before] * std::pow(losses[before + 1] / losses[before], share);
  }
};

Place place_of(std::span<const double> axis, double at) {
  size_t i = 0;
  while (i + 2 < axis.size() && axis[i + 1] < at) ++i;
  const double share = std::log(at / axis[i]) / std::log(axis[i + 1] / axis[i]);
  return {i, std::clamp(share, 0.0, 1.0)};
}

}  // namespace

Standing standing_at(const std::string& name, const LossCurve& curve, std::span<const double> axis,
                     double at) {
  const Place place = place_of(axis, at);
  std::vector<double> losses;
  for (const auto& draw : curve.draws) losses.push_back(place.in(draw));
  std::sort(losses.begin(), losses.end());
  return {name, place.in(curve.loss), sorted_quantile(losses, 0.05), sorted_quantile(losses, 0.95)};
}

std::vector<Standing> standings(std::span<const Contender> contenders,
                                std::span<const LossCurve> curves, std::span<const double> axis,
                                double at) {
  std::vector<Standing> all;
  for (size_t i = 0; i < contenders.size(); ++i)
    all.push_back(standing_at(contenders[i].name, curves[i], axis, at));
  std::stable_sort(all.begin(), all.end(),
                   [](const Standing& a, const Standing& b) { return a.loss < b.loss; });
  return all;
}

}  // namespace rung

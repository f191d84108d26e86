// Who is ahead where all contenders have been: their losses at one point of an axis.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "study/loss_curve.h"

namespace rung {

struct Standing {
  std::string name;
  double loss = 0.0, lo = 0.0, hi = 0.0;  // with the 90 % interval
};

// A curve's loss at one point, straight in logarithms between those that it was asked for at.
Standing standing_at(const std::string& name, const LossCurve& curve, std::span<const double> axis,
                     double at);

// The curves were asked for at `axis` (ascending, `at` within it). Lowest loss first.
std::vector<Standing> standings(std::span<const Contender> contenders,
                                std::span<const LossCurve> curves, std::span<const double> axis,
                                double at);

}  // namespace rung

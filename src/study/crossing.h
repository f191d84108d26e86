// Which of two contenders is ahead, where, and where their curves cross.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "study/loss_curve.h"
#include "study/rungs.h"

namespace rung {

struct Interval {
  double value = 0.0, lo = 0.0, hi = 0.0;
};

struct Comparison {
  std::vector<double> ahead;         // probability that the first's loss is the lower one, by point
  std::optional<Interval> crossing;  // of the axis, 90 %, where both ends are told apart
  std::string verdict;
};

// Two curves over one ascending positive axis, draws paired; `unit` as it stands behind numbers of
// the axis. A probability of 0.95 counts as told.
Comparison compare_curves(const std::string& first, const LossCurve& a, const std::string& second,
                          const LossCurve& b, std::span<const double> axis,
                          const std::string& unit);

// Probability of a difference in fit at least as large as the one between an E of each ladder's own
// and one E for both, in L = E + A N^-a, if they do share it (likelihood ratio, chi-square with one
// degree of freedom). Rungs: at least four of each.
double shared_offset_probability(std::span<const Rung> first, std::span<const Rung> second);

}  // namespace rung

// A ladder whose slope still steepens lies before a bend, and no law of falling slope follows it
// there.
#pragma once
#include <map>
#include <span>

#include "study/runs_csv.h"

namespace rung {

// One deviation of ln L at a target of N parameters: what lies between `predicted` and the straight
// line in ln L and ln N through the two largest rungs, taken as the end of a 90 % interval, where a
// weighted parabola through the rungs' mean ln L steepens by more than two standard errors.
// Otherwise 0. `deviations` are of one run's ln L, by N; at least four rungs of more than `above`
// parameters.
double bend_deviation(std::span<const RunRecord> ladder,
                      const std::map<int64_t, double>& deviations, int64_t above, int64_t N,
                      double predicted);

}  // namespace rung

// Profile likelihood: how the best objective grows when one coefficient is moved and all others
// follow. Its width is an interval that needs no resampling, its shape shows what a standard error
// hides.
#pragma once
#include <vector>

#include "law/fit.h"
#include "law/problem.h"
#include "law/solve.h"

namespace rung {

// One coefficient's profile out to a little beyond where the deviance crosses the chi-square
// quantile of `level`, or to its bound.
Profile profile(const Problem& problem, const Solution& optimum, int coefficient, double level);

// Of every free coefficient, in the law's order.
std::vector<Profile> profile_all(const Problem& problem, const Solution& optimum,
                                 const FitOptions& options);

}  // namespace rung

// The linear coefficients of a law at their optimum for the others. Between two terms that trade
// off against each other the objective is a narrow, bent valley; with the linear coefficients kept
// at its bottom what is left is short and nearly straight.
#pragma once
#include <vector>

#include "law/problem.h"

namespace rung {

// Coefficients that the formula is linear in and that are free: not fixed, not tied to others.
std::vector<int> sliding_coefficients(const Problem& problem);

// One step of reweighted least squares in the given coefficients, in the objective's own metric;
// what would leave its bounds stops there. False when they depend on each other there.
bool slide(const Problem& problem, const std::vector<int>& linear, Vector& theta);

}  // namespace rung

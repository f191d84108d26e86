// A law solved for one of its inputs: which size reaches this loss, which size is worth this score.
#pragma once
#include <span>
#include <vector>

#include "law/law.h"

namespace rung {

// The value in [lo, hi] of input `input` at which the law gives `target`, the other inputs as in
// `values`; the law must be monotonic there. Fails where `target` is not reached.
double solve_input(const Law& law, std::span<const double> c, std::vector<double> values,
                   size_t input, double target, double lo, double hi);

}  // namespace rung

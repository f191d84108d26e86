// The smoothly broken power law row by row, from the formula's one text: the plain twin of the
// evaluator that `broken_power_law` has.
#pragma once
#include "law/law.h"

namespace rung {

void broken_power_plain(const Law& law, const double* c, const double* inputs, size_t rows,
                        int order, double* out);

}  // namespace rung

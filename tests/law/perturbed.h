// A data set with the residuals of its fit added once more, as bench/law_multistart draws it.
#pragma once
#include <cmath>

#include "core/random.h"
#include "law/select.h"
#include "law/solve.h"

namespace rung {

inline Selection perturbed(const Selection& rows, const Problem& problem, const Vector& optimum,
                           uint64_t draw) {
  const std::vector<double> left = residuals(problem, coefficients_of(problem, optimum));
  Random random(0, "multistart", draw);
  Selection drawn = rows;
  for (size_t i = 0; i < drawn.data.rows(); ++i) {
    drawn.data.loss[i] =
        with_residual(problem.objective, drawn.data.loss[i], left[random.below(left.size())]);
    drawn.data.log_loss[i] = std::log(drawn.data.loss[i]);
  }
  return drawn;
}

}  // namespace rung

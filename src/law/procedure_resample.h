// Intervals of a procedure: raw rows are drawn anew, points derived again, and every law polished
// from its own optimum.
#pragma once
#include <vector>

#include "law/problem.h"
#include "law/procedure.h"

namespace rung {

// What of the caller's options reaches the law of one quantity.
FitOptions part_options(const DerivedPart& part, const FitOptions& options);

// How rows are drawn, where the caller may ask for whole rows.
Redraw redraw_of(const Derivation& derivation, const FitOptions& options);

// Root of the sum of the squared residuals.
double scatter_of(const Problem& problem, const Vector& theta);

// Gives every fit its samples, their noise and its intervals.
void resample_procedure(const RawRows& raw, const Procedure& procedure, const Settings& settings,
                        const FitOptions& options, const Derivation& derivation,
                        const std::vector<Fit*>& fits);

}  // namespace rung

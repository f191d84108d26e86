// Typed refusals and warnings. Refused is what the data do not determine; a narrow range alone is a
// warning.
//
//   before the fit
//   too-few-points     refusal  no more rows (or distinct inputs) than free coefficients
//   constant-rate      refusal  learning curves whose rate never falls
//   constant-input     refusal  an input varies by less than 2 %
//   collinear          refusal  an input follows from the others within 2 %; warning: correlation
//                               above 0.98
//   narrow-range       warning  an input spans less than a decade
//   duplicate-rows     warning  rows with the same inputs and the same target
//   impossible-loss    warning  a loss above 20 nats
//   units-mixed        warning  some rows hold a column in another unit than the others
//   units              warning  a whole column stands in another unit than ones
//   mixed-counting     warning  C over 6 N D falls into two groups at equal sizes
//   counting           note     C is not 6 N D, or N drifts against another count of parameters
//   mixed-checkpoints  warning  earlier checkpoints of some runs beside finished runs
//   checkpoints        note     every run stands with several checkpoints, or branches of its own
//   unused-rows        warning  a climb's rows that its own law leaves out
//   few-clusters       warning  fewer than 10 clusters to resample
//
//   after the fit
//   at-bound           refusal  a non-linear coefficient at the law's own bound; warning: E, or the
//                               caller's bound
//   vanishing-term     refusal  a term that adds nothing to any row
//   flat-profile       refusal  a non-linear coefficient that both its bounds explain as well;
//                               warning: one of them
//   start-not-moved    refusal  the polish never left its start although that is no minimum
//   not-converged      warning  the polish stopped before it converged
//   ill-conditioned    warning  the scaled Hessian's condition number
//   bend               warning  a smoothly broken power law fits far better than one power law
//   outliers           warning  a few rows lie over 10 deviations of the others off the law
//                               and outweigh them
//   still-resamples    warning  draws of rows or clusters leave the fit where it was, so that noise
//                               is drawn
//
//   at a prediction (law/predict.h)
//   bound-decides      refusal  E, or another irreducible term, ended at a bound, and this far out
//                               its uncertainty decides; with force a warning
#pragma once
#include <vector>

#include "law/fit.h"
#include "law/select.h"
#include "law/solve.h"

namespace rung {

// What can be said before fitting.
std::vector<Diagnostic> diagnose_design(const Table& table, const Selection& selection,
                                        const Problem& problem, const FitOptions& options);

// What the optimum shows.
std::vector<Diagnostic> diagnose_optimum(const Selection& selection, const Problem& problem,
                                         const Optimum& optimum, const FitOptions& options);

// What single rows show beside it.
std::vector<Diagnostic> diagnose_residuals(const Table& table, const Selection& selection,
                                           const Problem& problem, const Vector& theta,
                                           const FitOptions& options);

}  // namespace rung

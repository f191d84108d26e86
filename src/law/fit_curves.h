// A fit along its inputs, for drawing: lines through the data with a band, and loss at equal FLOPs.
#pragma once
#include "core/json.h"
#include "law/fit.h"

namespace rung {

// {"x": name, "log_x": true, "by": name or null, "lines": [{"value": of `by`, "points": [[x, law],
// ...], "band": [[x, lo, hi], ...]}], "isoflop": [{"C": ..., "points": [[N, law], ...]}]}. "parts"
// holds the same of a procedure's further quantities. `x` is the input with the widest range, `by`
// the next; others stand at their median. Empty for a refused fit.
Json fit_curves(const Fit& fit);

}  // namespace rung

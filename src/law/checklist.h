// The record that every fit carries, after "(Mis)Fitting: A Survey of Scaling Laws" (Li et al.
// 2025): what was fitted, to which rows, how, and how well. What a table cannot know is listed as
// not stated.
#pragma once
#include "core/json.h"
#include "law/fit.h"
#include "law/select.h"
#include "law/solve.h"

namespace rung {

Json make_checklist(const Table& table, const Selection& selection, const Problem& problem,
                    const Optimum& optimum, const Fit& fit, const FitOptions& options);

}  // namespace rung

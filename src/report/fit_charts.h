// The plots of a fit as data for page.js; null where the fit has nothing to draw. `curves` is what
// law/fit_curves.h makes of it.
#pragma once
#include "core/json.h"

namespace rung {

Json fit_data_chart(const Json& fit, const Json& curves, const char* id = "data");
Json fit_residual_chart(const Json& fit, const Json& curves);
Json fit_isoflop_chart(const Json& curves);  // the law's loss over N at equal FLOPs
Json fit_budgets_chart(const Json& fit);     // a procedure's budgets: rows, curves and their minima

}  // namespace rung

// The page of a fit: data and law with its band, residuals, profiles, loss at equal FLOPs,
// diagnostics.
#pragma once
#include <string>
#include <string_view>

#include "core/json.h"

namespace rung {

// `fit` is fit.json, `curves` what law/fit_curves.h makes of it.
std::string fit_page(const Json& fit, const Json& curves, std::string_view title);

}  // namespace rung

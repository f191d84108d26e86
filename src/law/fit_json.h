// fit.json: a fit as a file that people read and `predict` needs nothing else than.
#pragma once
#include "core/json.h"
#include "law/fit.h"
#include "law/predict.h"

namespace rung {

// The whole fit; with `samples` off (output on a terminal or to scripts) without what only predict
// needs.
Json fit_to_json(const Fit& fit, bool samples = true);

// Fails with `source` and the missing or wrong key.
Fit fit_from_json(const Json& json, const std::string& source = "fit.json");

Json prediction_to_json(const Prediction& prediction);

}  // namespace rung

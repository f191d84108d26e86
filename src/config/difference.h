// In what settings differ, in words: for messages about folders that hold something else.
#pragma once
#include <string>

#include "core/json.h"

namespace rung {

// Such as `train.lr was [0.25, 0.5], now [0.25, 1]`, of the first keys that differ; empty where
// none does. Both sides are configurations as to_json(RunConfig) writes them, lists of these, or
// plans that hold such lists. A key of many members has a list of values, which is cut around the
// first that differs; one value stands for equal ones. Keys that `saved` lacks are passed over
// (with_defaults fills a configuration's in).
std::string difference_text(const Json& saved, const Json& now);

// Such as `model.width of [16, 24]`, of the first keys in which the configurations of a list are
// not all alike; empty where they are.
std::string variety_text(const Json& configurations);

}  // namespace rung

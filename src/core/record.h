// What makes a prediction one: its hash stands in the climb's log before the target's first step.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace rung {

// The SHA-256 of prediction.json that the first of a log's events about it holds. Whoever asks
// whether the file is still what was recorded compares with this one: later events would let it be
// recorded anew.
std::optional<std::string> recorded_hash(const std::vector<Json>& log);

}  // namespace rung

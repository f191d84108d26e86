// The record that a climb writes before its target trains.
#pragma once
#include "core/files.h"
#include "core/json.h"

namespace rung {

// prediction.json of a climb's folder. Fails where there is none, or where it lacks what `rung
// climb` writes: target, loss and interval.
Json read_prediction(const fs::path& folder);

}  // namespace rung

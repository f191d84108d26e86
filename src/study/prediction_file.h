// The record that a climb writes before its target trains.
#pragma once
#include "core/files.h"
#include "core/json.h"

namespace rung {

// prediction.json of a climb's folder. Fails where there is none, or where it lacks what `rung
// climb` writes: target, loss and interval.
Json read_prediction(const fs::path& folder);

// Whether the folder's log.jsonl holds the hash of its prediction.json. Fails where it holds
// another one: the file is no longer what was recorded.
bool is_recorded(const fs::path& folder);

}  // namespace rung

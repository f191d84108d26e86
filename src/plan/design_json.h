// A design as it stands in a plan's JSON under `design`.
#pragma once
#include "core/json.h"
#include "plan/design.h"

namespace rung {

Json design_to_json(const Design& design, const DesignOptions& options);

}  // namespace rung

// The page of a plan: the basin of the loss along the budget with the near-optimal set, real
// shapes, what each fit adds, and the runs to train next.
#pragma once
#include <string>
#include <string_view>

#include "core/json.h"

namespace rung {

// `plan` is what `rung plan --out` writes.
std::string plan_page(const Json& plan, std::string_view title);

// True for such a file.
bool is_plan(const Json& json);

}  // namespace rung

// compare.html: contenders' losses over FLOPs and over time, who is ahead, and each climb's own
// check.
#pragma once
#include <string>
#include <string_view>

#include "core/json.h"

namespace rung {

// Whether a file's content is a comparison's.
bool is_comparison(const Json& json);

// From compare.json's content; climbs are linked as folders beside the page.
std::string compare_page(const Json& comparison, std::string_view title);

}  // namespace rung

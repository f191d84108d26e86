// The page of the annotated model: the range of every tensor on one axis with those of number
// formats, by step.
#pragma once
#include <string>
#include <string_view>

#include "core/json.h"

namespace rung {

// `scales` is what `rung scales --out` writes as scales.json.
std::string scales_page(const Json& scales, std::string_view title);

// True for such a file.
bool is_scales(const Json& json);

}  // namespace rung

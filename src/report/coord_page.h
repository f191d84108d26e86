// The page of a coordinate check: sizes over width and depth, their exponents by horizon, and every
// slope with its verdict.
#pragma once
#include <string>
#include <string_view>

#include "core/json.h"

namespace rung {

// `coord` is what `rung coord --out` writes as coord.json.
std::string coord_page(const Json& coord, std::string_view title);

// True for such a file.
bool is_coord(const Json& json);

}  // namespace rung

// A TOML file as JSON, keys in the order of the file: for files that are not the configuration
// (laws, schedules).
#pragma once
#include <filesystem>

#include "core/json.h"

namespace rung {

// Usage errors name file, line and column. Infinities, NaN and dates are refused: JSON has none.
Json read_toml(const std::filesystem::path& path);

}  // namespace rung

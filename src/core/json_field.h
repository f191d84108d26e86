// One entry of a JSON file.
#pragma once
#include <string>

#include "core/files.h"
#include "core/json.h"

namespace rung {

// Fails with the file's name where it has no such key.
Json read_field(const fs::path& path, const std::string& key);

}  // namespace rung

// JSON values keep the order in which keys were written, so that files and output read the same
// every time.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace rung {

using Json = nlohmann::ordered_json;

// Reads one JSON document. Fails with the file's name and the parser's position.
Json read_json(const std::filesystem::path& path);

// Writes `value`, indented by two spaces, whole or not at all (temporary file, fsync, rename).
// Names from the disk need not be UTF-8: a replaced letter is better than no file.
void write_json(const std::filesystem::path& path, const Json& value);

// A number that JSON can hold: null for NaN and infinities.
Json json_number(double value);

}  // namespace rung

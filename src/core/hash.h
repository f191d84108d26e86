// SHA-256 (FIPS 180-4), for content hashes that outlive the program.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace rung {

// Lower-case hexadecimal digest of the bytes.
std::string sha256(std::string_view bytes);
std::string sha256_file(const std::filesystem::path& path);

}  // namespace rung

// Bytes of a file, decompressed on the way: plain, xz, zst or gz, told apart by their first bytes.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace rung {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Fills `out` with up to `size` bytes; 0 at the end. Fails on damage and on an early end.
  virtual size_t read(char* out, size_t size) = 0;
};

// Fails when the file is missing, is a folder, or is packed in a format that this build lacks.
std::unique_ptr<ByteStream> open_bytes(const std::filesystem::path& path);

// The same, decompressed ahead by a thread of its own.
std::unique_ptr<ByteStream> open_bytes_ahead(const std::filesystem::path& path);

// The file's name without .xz, .zst or .gz.
std::string unpacked_name(const std::filesystem::path& path);

}  // namespace rung

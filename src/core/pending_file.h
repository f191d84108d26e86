// A file that is there whole or not at all.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace rung {

// Written under a temporary name in the folder of its last one; gone unless it is committed. Errors
// name `shown`, and end with `advice`.
class PendingFile {
 public:
  explicit PendingFile(std::filesystem::path temporary, std::string shown, std::string advice = {});
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile();
  void write(const void* data, size_t size);
  void write(std::string_view content) { write(content.data(), content.size()); }
  // What is written next replaces the beginning.
  void rewind();
  // Waits for the disk, renames the file to `path` and waits for the folder's entry.
  void commit(const std::filesystem::path& path);

 private:
  [[noreturn]] void fail_to_write(const std::string& why) const;
  std::filesystem::path temporary_;
  std::string shown_, advice_;
  int fd_ = -1;
};

}  // namespace rung

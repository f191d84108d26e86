// Files as the whole program reads and writes them: whole or not at all, with errors that name the
// path.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace rung {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path);

// Fails where `path` is a folder or its folder cannot be written to: before work whose result goes
// there.
void check_writable(const fs::path& path);

// Replaces `path` by `content`: temporary file beside it, fsync, rename, fsync of the folder.
void write_file(const fs::path& path, std::string_view content);

// Appends to `path` in one write call and, with `sync`, waits for the disk. What does not fit on it
// is taken back as a whole.
void append_file(const fs::path& path, std::string_view content, bool sync = false);

// Writes all of `content` to a descriptor; false, and errno, where that fails.
bool write_all(int fd, std::string_view content);

// Flushes a folder's own entries, so that a rename inside it survives a power cut.
void sync_folder(const fs::path& folder);

// A read-only memory map of a whole file; empty files map to an empty span.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Holds a lock file while it lives, so that two processes never write one folder; the kernel lets
// go of it when the process ends, however it ends. Fails, naming the folder, when another process
// holds it.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int fd_ = -1;
};

}  // namespace rung

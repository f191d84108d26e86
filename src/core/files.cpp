#include "core/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "core/pending_file.h"

namespace rung {
namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    content.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

std::string read_file(const fs::path& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info {};
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0)
    fail("[files] Cannot read {}: {}.", path.string(), std::strerror(errno));
  if (S_ISDIR(info.st_mode))
    fail("[files] Cannot read {}: it is a folder, a file was wanted.", path.string());
  std::string content;
  content.reserve(static_cast<size_t>(info.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(file.fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("[files] Cannot read {}: {}.", path.string(), std::strerror(errno));
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
  }
}

void sync_folder(const fs::path& folder) {
  Descriptor handle{
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (handle.fd >= 0) ::fsync(handle.fd);
}

void check_writable(const fs::path& path) {
  const fs::path folder = path.parent_path().empty() ? "." : path.parent_path();
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    errno = EISDIR;
  else if (::access(folder.c_str(), W_OK | X_OK) == 0)
    return;
  fail("[files] Cannot write {}: {}.", path.string(), std::strerror(errno));
}

void write_file(const fs::path& path, std::string_view content) {
  // The process in the name keeps two writers of one cache file apart; the last rename wins.
  PendingFile file(fmt::format("{}.{}.tmp", path.string(), ::getpid()), path.string());
  file.write(content);
  file.commit(path);
}

void append_file(const fs::path& path, std::string_view content, bool sync) {
  Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)};
  if (file.fd < 0) fail("[files] Cannot append to {}: {}.", path.string(), std::strerror(errno));
  const off_t before = ::lseek(file.fd, 0, SEEK_END);
  try {
    if (!write_all(file.fd, content))
      fail("[files] Cannot write {}: {}.", path.string(), std::strerror(errno));
  } catch (const Error&) {
    // What comes next must not go on behind half a line.
    if (::lseek(file.fd, 0, SEEK_END) > before && ::ftruncate(file.fd, before) != 0)
      fail("[files] Cannot take a torn line of {} back: {}.", path.string(), std::strerror(errno));
    throw;
  }
  if (sync && ::fsync(file.fd) != 0)
    fail("[files] Cannot append to {}: {}.", path.string(), std::strerror(errno));
}

MappedFile::MappedFile(const fs::path& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info {};
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0)
    fail("[files] Cannot read {}: {}.", path.string(), std::strerror(errno));
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) fail("[files] Cannot map {}: {}.", path.string(), std::strerror(errno));
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

FolderLock::FolderLock(const fs::path& folder) {
  const fs::path path = folder / ".lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("[files] Cannot write {}: {}.", path.string(), std::strerror(errno));
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(fd_);
  fail("[files] Another process is writing {}. Wait for it, or choose another folder.",
       folder.string());
}

FolderLock::~FolderLock() {
  ::close(fd_);
}

}  // namespace rung

#include "core/pending_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/files.h"

namespace rung {

PendingFile::PendingFile(fs::path temporary, std::string shown, std::string advice)
    : temporary_(std::move(temporary)), shown_(std::move(shown)), advice_(std::move(advice)) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_to_write(std::strerror(errno));
}

PendingFile::~PendingFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());  // on a full disk it would hold the last of the room
}

void PendingFile::fail_to_write(const std::string& why) const {
  fail("[files] Cannot write {}: {}.{}{}", shown_, why, advice_.empty() ? "" : " ", advice_);
}

void PendingFile::write(const void* data, size_t size) {
  if (!write_all(fd_, {static_cast<const char*>(data), size})) fail_to_write(std::strerror(errno));
}

void PendingFile::rewind() {
  if (::lseek(fd_, 0, SEEK_SET) != 0) fail_to_write(std::strerror(errno));
}

void PendingFile::commit(const fs::path& path) {
  if (::fsync(fd_) != 0) fail_to_write(std::strerror(errno));
  if (::rename(temporary_.c_str(), path.c_str()) != 0) fail_to_write(std::strerror(errno));
  ::close(std::exchange(fd_, -1));
  sync_folder(path.parent_path());
}

}  // namespace rung

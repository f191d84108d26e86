#include "data/byte_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"

#ifdef RUNG_XZ
#include <lzma.h>
#endif
#ifdef RUNG_ZST
#include <zstd.h>
#endif
#ifdef RUNG_GZ
#include <zlib.h>
#endif

namespace rung {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void truncated(const std::string& name) {
  fail("[data] {} is truncated: its compressed stream ends early. Copy or download it again.",
       name);
}

[[noreturn]] void damaged(const std::string& name, std::string_view what) {
  fail("[data] {} is damaged. Received: {}. Copy or download it again.", name, what);
}

class PlainStream : public ByteStream {
 public:
  explicit PlainStream(const fs::path& path) : name_(path.string()) {
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) fail("[data] Cannot read {}: {}.", name_, std::strerror(errno));
  }
  PlainStream(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  ~PlainStream() override { ::close(fd_); }
  PlainStream(const PlainStream&) = delete;
  PlainStream& operator=(const PlainStream&) = delete;
  size_t read(char* out, size_t size) override {
    for (;;) {
      const ssize_t got = ::read(fd_, out, size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("[data] Cannot read {}: {}.", name_, std::strerror(errno));
      return static_cast<size_t>(got);
    }
  }

 private:
  int fd_ = -1;
  std::string name_;
};

// What the three decoders share: packed input, refilled as it is used up.
class PackedStream : public ByteStream {
 protected:
  explicit PackedStream(const fs::path& path)
      : name_(path.string()), file_(path), packed_(size_t{1} << 16) {}
  size_t refill() { return file_.read(packed_.data(), packed_.size()); }
  std::string name_;
  PlainStream file_;
  std::vector<char> packed_;
};

#ifdef RUNG_XZ
class XzStream : public PackedStream {
 public:
  explicit XzStream(const fs::path& path) : PackedStream(path) {
    if (lzma_stream_decoder(&state_, UINT64_MAX, LZMA_CONCATENATED) != LZMA_OK)
      fail("[data] Cannot start the xz decoder for {}.", name_);
  }
  ~XzStream() override { lzma_end(&state_); }
  size_t read(char* out, size_t size) override {
    if (done_) return 0;
    state_.next_out = reinterpret_cast<uint8_t*>(out);
    state_.avail_out = size;
    while (state_.avail_out == size) {
      if (state_.avail_in == 0 && !ended_) {
        state_.next_in = reinterpret_cast<const uint8_t*>(packed_.data());
        state_.avail_in = refill();
        ended_ = state_.avail_in == 0;
      }
      const lzma_ret result = lzma_code(&state_, ended_ ? LZMA_FINISH : LZMA_RUN);
      if (result == LZMA_STREAM_END) {
        done_ = true;
        break;
      }
      if (result == LZMA_BUF_ERROR) truncated(name_);
      if (result != LZMA_OK) damaged(name_, "an xz stream that does not decode");
    }
    return size - state_.avail_out;
  }

 private:
  lzma_stream state_ = LZMA_STREAM_INIT;
  bool ended_ = false, done_ = false;
};
#else
// Without liblzma: the program xz writes into a pipe.
class XzStream : public ByteStream {
 public:
  explicit XzStream(const fs::path& path) : name_(path.string()) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("[data] Cannot make a pipe: {}.", std::strerror(errno));
    child_ = ::fork();
    if (child_ < 0) fail("[data] Cannot start xz: {}.", std::strerror(errno));
    if (child_ == 0) {
      ::dup2(ends[1], 1);
      ::close(2);
      ::execlp("xz", "xz", "-dcq", "--", name_.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(ends[1]);
    pipe_ = std::make_unique<PlainStream>(ends[0], name_);
  }
  ~XzStream() override {
    pipe_.reset();
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }
  size_t read(char* out, size_t size) override {
    const size_t got = pipe_->read(out, size);
    if (got == 0 && child_ > 0) {
      int status = 0;
      ::waitpid(std::exchange(child_, -1), &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        fail(
            "[data] {} is packed with xz, which this build lacks. Install liblzma-dev or xz-utils.",
            name_);
      if (status != 0) damaged(name_, "an xz stream that is truncated or does not decode");
    }
    return got;
  }

 private:
  std::string name_;
  pid_t child_ = -1;
  std::unique_ptr<PlainStream> pipe_;
};
#endif

#ifdef RUNG_ZST
class ZstStream : public PackedStream {
 public:
  explicit ZstStream(const fs::path& path) : PackedStream(path), state_(ZSTD_createDStream()) {}
  ~ZstStream() override { ZSTD_freeDStream(state_); }
  size_t read(char* out, size_t size) override {
    ZSTD_outBuffer output{out, size, 0};
    while (output.pos == 0) {
      if (input_.pos == input_.size && !flushing_) {
        input_ = {packed_.data(), refill(), 0};
        if (input_.size == 0) {
          if (left_ != 0) truncated(name_);
          return 0;
        }
      }
      left_ = ZSTD_decompressStream(state_, &output, &input_);
      if (ZSTD_isError(left_)) damaged(name_, ZSTD_getErrorName(left_));
      flushing_ = output.pos == output.size && left_ != 0;
    }
    return output.pos;
  }

 private:
  ZSTD_DStream* state_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  size_t left_ = 1;
  bool flushing_ = false;
};
#endif

#ifdef RUNG_GZ
class GzStream : public PackedStream {
 public:
  explicit GzStream(const fs::path& path) : PackedStream(path) {
    if (inflateInit2(&state_, 15 + 16) != Z_OK)
      fail("[data] Cannot start the gz decoder for {}.", name_);
  }
  ~GzStream() override { inflateEnd(&state_); }
  size_t read(char* out, size_t size) override {
    size = std::min(size, size_t{1} << 30);
    state_.next_out = reinterpret_cast<Bytef*>(out);
    state_.avail_out = static_cast<uInt>(size);
    while (state_.avail_out == size) {
      if (state_.avail_in == 0) {
        state_.next_in = reinterpret_cast<Bytef*>(packed_.data());
        state_.avail_in = static_cast<uInt>(refill());
        if (state_.avail_in == 0) {
          if (!between_) truncated(name_);
          return 0;
        }
      }
      if (between_) inflateReset(&state_);  // a further member of a concatenated file
      const int result = inflate(&state_, Z_NO_FLUSH);
      between_ = result == Z_STREAM_END;
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        damaged(name_, state_.msg ? state_.msg : "a gz stream that does not decode");
    }
    return size - state_.avail_out;
  }

 private:
  z_stream state_{};
  bool between_ = false;
};
#endif

std::string first_bytes(const fs::path& path) {
  PlainStream file(path);
  std::string head(6, '\0');
  size_t filled = 0;
  while (filled < head.size()) {
    const size_t got = file.read(head.data() + filled, head.size() - filled);
    if (got == 0) break;
    filled += got;
  }
  head.resize(filled);
  return head;
}

}  // namespace

std::unique_ptr<ByteStream> open_bytes(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) fail("[data] {} does not exist. Check the path.", path.string());
  if (fs::is_directory(path, error))
    fail("[data] {} is a folder, a file was wanted.", path.string());
  const std::string head = first_bytes(path);
  if (head.starts_with(std::string_view("\xFD"
                                        "7zXZ\0",
                                        6)))
    return std::make_unique<XzStream>(path);
  if (head.starts_with("\x28\xB5\x2F\xFD")) {
#ifdef RUNG_ZST
    return std::make_unique<ZstStream>(path);
#else
    fail(
        "[data] {} is packed with zst, which this build lacks. Install libzstd-dev and build "
        "again.",
        path.string());
#endif
  }
  if (head.starts_with("\x1F\x8B")) {
#ifdef RUNG_GZ
    return std::make_unique<GzStream>(path);
#else
    fail("[data] {} is packed with gz, which this build lacks. Install zlib1g-dev and build again.",
         path.string());
#endif
  }
  if (unpacked_name(path) != path.filename().string()) {
    if (head.empty()) fail("[data] {} is empty. Received 0 bytes.", path.string());
    damaged(path.string(), "a file that does not begin as its ending says");
  }
  return std::make_unique<PlainStream>(path);
}

std::string unpacked_name(const fs::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".xz" || ending == ".zst" || ending == ".gz") return path.stem().string();
  return path.filename().string();
}

}  // namespace rung

#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "data/byte_stream.h"

namespace rung {
namespace {

constexpr size_t block_size = size_t{1} << 20;

// Up to four blocks are decompressed while the caller works on earlier ones.
class AheadStream : public ByteStream {
 public:
  explicit AheadStream(std::unique_ptr<ByteStream> inner)
      : inner_(std::move(inner)), thread_([this] { run(); }) {}
  ~AheadStream() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  size_t read(char* out, size_t size) override {
    if (used_ == block_.size()) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !ready_.empty() || ended_; });
      if (ready_.empty()) {
        if (error_) std::rethrow_exception(error_);
        return 0;
      }
      block_ = std::move(ready_.front());
      ready_.pop_front();
      used_ = 0;
      changed_.notify_all();
    }
    const size_t count = std::min(size, block_.size() - used_);
    std::memcpy(out, block_.data() + used_, count);
    used_ += count;
    return count;
  }

 private:
  void run() {
    try {
      for (;;) {
        std::string block(block_size, '\0');
        size_t filled = 0;
        while (filled < block.size()) {
          const size_t got = inner_->read(block.data() + filled, block.size() - filled);
          if (got == 0) break;
          filled += got;
        }
        block.resize(filled);
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ready_.size() < 4 || stopped_; });
        ended_ = filled < block_size || stopped_;
        if (filled) ready_.push_back(std::move(block));
        changed_.notify_all();
        if (ended_) return;
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
      ended_ = true;
      changed_.notify_all();
    }
  }

  std::unique_ptr<ByteStream> inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> ready_;
  std::string block_;
  size_t used_ = 0;
  bool ended_ = false, stopped_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<ByteStream> open_bytes_ahead(const std::filesystem::path& path) {
  return std::make_unique<AheadStream>(open_bytes(path));
}

}  // namespace rung

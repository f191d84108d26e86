// A folder that a test may fill; it goes when the test ends.
#pragma once
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

#include "core/error.h"
#include "core/files.h"

namespace rung {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> next{0};
    path_ = fs::temp_directory_path() /
            ("rung-data-" + std::to_string(::getpid()) + "-" + std::to_string(next++));
    fs::create_directories(path_);
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  fs::path write(const std::string& name, const std::string& content) const {
    fs::create_directories((path_ / name).parent_path());
    write_file(path_ / name, content);
    return path_ / name;
  }
  std::string string() const { return path_.string(); }

 private:
  fs::path path_;
};

// The message of the Error that `work` throws; empty when it throws none.
template <class Work>
std::string message_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace rung

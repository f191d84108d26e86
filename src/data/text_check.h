// Whether a file is text.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rung {

// Looks at a file block by block and fails, naming it, when it is binary: a NUL byte, or more than
// one byte in ten outside valid UTF-8.
class TextCheck {
 public:
  explicit TextCheck(std::string name) : name_(std::move(name)) {}
  void feed(std::string_view block);
  void finish();

 private:
  void judge() const;
  std::string name_;
  std::string carry_;
  uint64_t bytes_ = 0, invalid_ = 0;
};

}  // namespace rung

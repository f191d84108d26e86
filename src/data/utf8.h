// UTF-8 checks: what is text, and where a stretch of valid text ends.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rung {

// Length in bytes of the longest prefix that is valid UTF-8 (no overlong forms, no surrogates).
size_t valid_utf8_prefix(std::string_view text);

// The largest cut <= `limit` that does not split a character of valid UTF-8.
size_t utf8_boundary(std::string_view text, size_t limit);

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

// Cuts text where a regular expression matches: the first step of a byte-level tokenizer.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rung {

// Immutable; safe to use from many threads.
class SplitRegex {
 public:
  virtual ~SplitRegex() = default;
  // Every match and every stretch between matches, in order; together they are the text.
  virtual std::vector<std::string_view> split(std::string_view text) const = 0;
};

// Fails where the expression cannot be read, and in builds without ICU. \s is Unicode's white
// space.
std::unique_ptr<SplitRegex> split_regex(const std::string& expression);

}  // namespace rung

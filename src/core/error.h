// The one exception of the program: `[where] What is wrong. Received X.` and what to do about it.
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace rung {

// What the command line turns into an exit status: 1, 2, 3.
enum class Failure { failed = 1, usage = 2, refused = 3 };

struct Error : std::runtime_error {
  explicit Error(const std::string& message, Failure kind = Failure::failed)
      : std::runtime_error(message), kind(kind) {}
  Failure kind;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...), Failure::usage);
}

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...), Failure::refused);
}

}  // namespace rung

// What of a library's long message is said.
#pragma once
#include <string>

namespace rung {

inline std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace rung

// What the JSON library has to say, without its own codes.
#pragma once
#include <exception>
#include <string>
#include <string_view>

namespace rung {

// The text behind "[json.exception.parse_error.101] ".
inline std::string json_reason(const std::exception& error) {
  const std::string_view what = error.what();
  const size_t code = what.find("] ");
  return std::string(code == what.npos ? what : what.substr(code + 2));
}

}  // namespace rung

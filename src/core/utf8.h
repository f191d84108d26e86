// UTF-8: what is text, and where it may be cut.
#pragma once
#include <cstddef>
#include <string_view>

namespace rung {

// Length in bytes of the longest prefix that is valid UTF-8 (no overlong forms, no surrogates).
size_t valid_utf8_prefix(std::string_view text);

// The largest cut <= `limit` that does not split a character of valid UTF-8.
size_t utf8_boundary(std::string_view text, size_t limit);

}  // namespace rung

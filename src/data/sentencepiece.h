// What SentencePiece's tokenizer and its training share.
#pragma once
#include <string_view>

namespace rung {

// SentencePiece writes a space as U+2581; text that holds that character itself is spelt in bytes.
inline constexpr std::string_view space_symbol = "\xE2\x96\x81";

}  // namespace rung

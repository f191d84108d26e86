#include "data/text_check.h"

#include <cstring>

#include "core/error.h"
#include "core/utf8.h"

namespace rung {

void TextCheck::feed(std::string_view block) {
  if (std::memchr(block.data(), 0, block.size()))
    fail("[data] {} is binary, text was wanted. Received a NUL byte. Give UTF-8 text.", name_);
  std::string joined;
  bytes_ += block.size();
  if (!carry_.empty()) {
    joined = carry_;
    joined.append(block);
    carry_.clear();
    block = joined;
  }
  while (!block.empty()) {
    block.remove_prefix(valid_utf8_prefix(block));
    if (block.empty()) break;
    if (block.size() < 4) {  // perhaps a character cut by the block's end
      carry_ = block;
      break;
    }
    ++invalid_;
    block.remove_prefix(1);
  }
  if (bytes_ >= (1u << 16)) judge();
}

void TextCheck::finish() {
  invalid_ += carry_.size();
  carry_.clear();
  judge();
}

void TextCheck::judge() const {
  if (invalid_ * 10 > bytes_)
    fail(
        "[data] {} is binary or in another encoding. Received {} bytes of {} outside UTF-8. "
        "Convert it to UTF-8.",
        name_, invalid_, bytes_);
}

}  // namespace rung

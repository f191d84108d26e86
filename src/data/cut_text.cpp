#include "data/cut_text.h"

#include <algorithm>

#include "core/utf8.h"

namespace rung {
namespace {

// The last blank line's end within the first `limit` bytes, else the last line's, else a
// character's.
size_t cut_within(std::string_view text, size_t limit) {
  const std::string_view head = text.substr(0, limit);
  if (const size_t blank = head.rfind("\n\n"); blank != head.npos) return blank + 2;
  if (const size_t line = head.rfind('\n'); line != head.npos) return line + 1;
  return utf8_boundary(text, limit);
}

}  // namespace

void TextCutter::feed(std::string_view block) {
  pending_.append(block);
  if (rule_ == CutRule::by_content && pending_.size() < probe_bytes) return;
  if (rule_ == CutRule::by_content) decide();
  cut(false);
}

void TextCutter::finish() {
  if (rule_ == CutRule::by_content) decide();
  cut(true);
}

void TextCutter::decide() {
  const std::string_view text = pending_;
  if (text.find('\f') != text.npos) {
    rule_ = CutRule::form_feed;
  } else if (text.starts_with("# ") || text.find("\n# ") != text.npos) {
    rule_ = CutRule::heading;
  } else {
    rule_ = CutRule::size;
  }
}

size_t TextCutter::next_end(size_t begin) const {
  const std::string_view text = pending_;
  const size_t from = std::max(begin, searched_);
  size_t end = text.npos;
  if (rule_ == CutRule::form_feed) {
    end = text.find('\f', from);
  } else if (rule_ == CutRule::heading) {
    const size_t line = text.find("\n# ", from);
    if (line != text.npos) end = line + 1;
  } else if (rule_ == CutRule::size && text.size() - begin > piece_bytes) {
    end = begin + cut_within(text.substr(begin), piece_bytes);
  }
  const size_t seen = std::min(end, text.size());
  if (seen - begin > longest_bytes) end = begin + cut_within(text.substr(begin), longest_bytes);
  return end;
}

void TextCutter::cut(bool last) {
  size_t begin = 0;
  for (;;) {
    const size_t end = next_end(begin);
    if (end == std::string::npos) break;
    deliver_(pending_.substr(begin, end - begin));
    begin = end;
    if (rule_ == CutRule::form_feed && pending_[begin] == '\f') ++begin;
  }
  if (last) {
    deliver_(pending_.substr(begin));
    pending_.clear();
    return;
  }
  pending_.erase(0, begin);
  // "\n# " may straddle two blocks.
  searched_ = pending_.size() > 2 ? pending_.size() - 2 : 0;
}

}  // namespace rung

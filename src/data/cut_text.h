// The document rule inside one text file.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace rung {

enum class CutRule { by_content, whole, form_feed, heading, size };

// Takes a text in blocks and delivers its documents. `by_content` turns into form_feed, heading or
// size once the first 4 MiB (or all of a shorter text) have been seen.
class TextCutter {
 public:
  static constexpr size_t probe_bytes = size_t{4} << 20;
  static constexpr size_t piece_bytes = size_t{16} << 10;
  static constexpr size_t longest_bytes = size_t{16} << 20;

  TextCutter(CutRule rule, std::function<void(std::string&&)> deliver)
      : rule_(rule), deliver_(std::move(deliver)) {}
  void feed(std::string_view block);
  void finish();
  CutRule rule() const { return rule_; }

 private:
  void decide();
  void cut(bool last);
  size_t next_end(size_t begin) const;  // of the piece that begins there; npos: not in sight yet
  CutRule rule_;
  std::function<void(std::string&&)> deliver_;
  std::string pending_;
  size_t searched_ = 0;  // no cut lies before this offset of pending_
};

}  // namespace rung

#include "data/split_regex.h"

#include "core/error.h"

#ifdef RUNG_ICU
#include <unicode/uregex.h>
#include <unicode/utext.h>
#endif

namespace rung {
#ifdef RUNG_ICU
namespace {

// ICU's own \s leaves out U+000B and U+0085, which the expressions' usual engine takes in.
std::string with_white_space(const std::string& expression) {
  std::string text;
  for (size_t i = 0; i < expression.size(); ++i) {
    const char next = i + 1 < expression.size() ? expression[i + 1] : '\0';
    if (expression[i] != '\\' || next == '\0') {
      text += expression[i];
      continue;
    }
    if (next == 's')
      text += "\\p{White_Space}";
    else if (next == 'S')
      text += "\\P{White_Space}";
    else
      (text += '\\') += next;
    ++i;
  }
  return text;
}

struct TextCloser {
  void operator()(UText* text) const { utext_close(text); }
};
struct RegexCloser {
  void operator()(URegularExpression* regex) const { uregex_close(regex); }
};
using Regex = std::unique_ptr<URegularExpression, RegexCloser>;
using Text = std::unique_ptr<UText, TextCloser>;

Text open_text(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  Text opened(utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status));
  if (U_FAILURE(status)) fail("[tokenizer] ICU cannot read this text: {}.", u_errorName(status));
  return opened;
}

class IcuSplit : public SplitRegex {
 public:
  explicit IcuSplit(const std::string& expression) {
    const std::string spelt = with_white_space(expression);
    const Text pattern = open_text(spelt);
    UErrorCode status = U_ZERO_ERROR;
    UParseError where;
    regex_.reset(uregex_openUText(pattern.get(), 0, &where, &status));
    if (U_FAILURE(status))
      fail("[tokenizer] A regular expression cannot be read: {} at character {}. Received {}.",
           u_errorName(status), where.offset, expression);
  }

  std::vector<std::string_view> split(std::string_view text) const override {
    std::vector<std::string_view> pieces;
    UErrorCode status = U_ZERO_ERROR;
    const Regex regex(uregex_clone(regex_.get(), &status));
    const Text input = open_text(text);
    uregex_setUText(regex.get(), input.get(), &status);
    size_t at = 0;
    const auto push = [&](size_t end) {
      if (end > at) pieces.push_back(text.substr(at, end - at));
      at = end;
    };
    while (uregex_findNext(regex.get(), &status)) {
      push(static_cast<size_t>(uregex_start64(regex.get(), 0, &status)));
      push(static_cast<size_t>(uregex_end64(regex.get(), 0, &status)));
    }
    if (U_FAILURE(status))
      fail("[tokenizer] The tokenizer's regular expression fails on this text: {}.",
           u_errorName(status));
    push(text.size());
    return pieces;
  }

 private:
  Regex regex_;
};

}  // namespace

std::unique_ptr<SplitRegex> split_regex(const std::string& expression) {
  return std::make_unique<IcuSplit>(expression);
}

#else

std::unique_ptr<SplitRegex> split_regex(const std::string& expression) {
  fail(
      "[tokenizer] This build lacks ICU, which the regular expressions of tokenizer.json need. "
      "Received {}. Install libicu-dev.",
      expression);
}

#endif
}  // namespace rung

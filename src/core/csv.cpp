#include "core/csv.h"

#include "core/error.h"

namespace rung {

CsvReader::CsvReader(std::string_view text, char delimiter, std::string where)
    : text_(text), delimiter_(delimiter), where_(std::move(where)) {
  if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
}

// Whether the cell that starts here is quoted; blanks before the quote do not count.
bool CsvReader::at_quote() const {
  for (size_t i = at_; i < text_.size(); ++i) {
    if (text_[i] == '"') return true;
    if (text_[i] == delimiter_ || (text_[i] != ' ' && text_[i] != '\t')) return false;
  }
  return false;
}

std::string_view CsvReader::plain_cell() {
  const size_t begin = at_;
  while (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n') ++at_;
  std::string_view cell = text_.substr(begin, at_ - begin);
  const bool ends_record = at_ == text_.size() || text_[at_] == '\n';
  if (ends_record && cell.ends_with('\r')) cell.remove_suffix(1);
  return cell;
}

std::string_view CsvReader::quoted_cell() {
  std::string& cell = unquoted_.emplace_back();
  at_ = text_.find('"', at_) + 1;
  const int64_t opened = line_;
  for (;; ++at_) {
    if (at_ >= text_.size())
      fail("[csv] A quoted field is never closed. Received {}, line {}.", where_, opened);
    if (text_[at_] == '"') {
      ++at_;
      if (at_ >= text_.size() || text_[at_] != '"') break;
    }
    line_ += text_[at_] == '\n';
    cell += text_[at_];
  }
  cell += plain_cell();  // stray text behind the closing quote
  return cell;
}

bool CsvReader::next(std::vector<std::string_view>& cells) {
  while (at_ < text_.size()) {
    cells.clear();
    unquoted_.clear();
    record_line_ = line_;
    for (bool more = true; more;) {
      cells.push_back(at_quote() ? quoted_cell() : plain_cell());
      more = at_ < text_.size() && text_[at_] == delimiter_;
      if (at_ < text_.size()) ++at_;
    }
    ++line_;
    const bool blank = cells.size() == 1 && unquoted_.empty() &&
                       cells[0].find_first_not_of(" \t\r") == std::string_view::npos;
    if (!blank) return true;
  }
  return false;
}

}  // namespace rung

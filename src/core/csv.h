// Delimited text record by record: CSV, TSV.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace rung {

// RFC 4180 with any delimiter: quoted cells may hold delimiters, line breaks and doubled quotes;
// blank lines and a byte-order mark are skipped. `text` must outlive the reader, `where` names it
// in errors.
class CsvReader {
 public:
  CsvReader(std::string_view text, char delimiter, std::string where);

  // The next record's cells, valid until the next call; false at the end. Fails, naming the line,
  // on a quote that never closes.
  bool next(std::vector<std::string_view>& cells);

  int64_t line() const { return record_line_; }  // where the last record began, from 1

 private:
  std::string_view plain_cell();
  std::string_view quoted_cell();
  bool at_quote() const;

  std::string_view text_;
  char delimiter_;
  std::string where_;
  size_t at_ = 0;
  int64_t line_ = 1, record_line_ = 0;
  std::deque<std::string> unquoted_;  // cells that are not a piece of the text
};

}  // namespace rung

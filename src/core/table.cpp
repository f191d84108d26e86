#include "core/table.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "core/csv.h"
#include "core/error.h"

namespace rung {
namespace {

bool is_number(const std::string& cell) {
  char* end = nullptr;
  std::strtod(cell.c_str(), &end);
  return !cell.empty() && end == cell.c_str() + cell.size();
}

// Characters shown: UTF-8 continuation bytes take no room.
size_t shown(const std::string& cell) {
  return static_cast<size_t>(
      std::count_if(cell.begin(), cell.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

void append_row(std::string& out, const TableRow& row, const std::vector<size_t>& widths,
                const std::vector<bool>& right) {
  for (size_t i = 0; i < widths.size(); ++i) {
    const std::string cell = i < row.size() ? row[i] : "";
    const std::string gap(widths[i] - shown(cell), ' ');
    out += (i > 0 ? "  " : "") + (right[i] ? gap + cell : cell + gap);
  }
  out.erase(out.find_last_not_of(' ') + 1);
  out += '\n';
}

bool is_command(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  return line.starts_with("rung ") || line.starts_with("./rung ") || line.starts_with("rung-law ");
}

}  // namespace

std::string text_table(const TableRow& head, const std::vector<TableRow>& rows) {
  std::vector<size_t> widths;
  std::vector<bool> right(head.size(), !rows.empty());
  for (const std::string& cell : head) widths.push_back(shown(cell));
  for (const TableRow& row : rows) {
    if (row.size() > head.size())
      fail("[table] A row has {} cells, the head {}.", row.size(), head.size());
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], shown(row[i]));
      if (!row[i].empty() && row[i] != "-" && !is_number(row[i])) right[i] = false;
    }
  }
  std::string out;
  append_row(out, head, widths, right);
  size_t total = head.empty() ? 0 : 2 * (head.size() - 1);
  for (const size_t width : widths) total += width;
  out += std::string(total, '-') + '\n';
  for (const TableRow& row : rows) append_row(out, row, widths, right);
  return out;
}

std::string fit_lines(const std::string& text, size_t columns) {
  constexpr std::string_view indent = "    ";
  std::string out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (!line.empty() && line.find_first_not_of('-') == std::string::npos)
      line = line.substr(0, columns);
    while (shown(line) > columns && !is_command(line)) {
      size_t limit = 0;  // of bytes in `columns` characters
      for (size_t seen = 0; limit < line.size() && seen <= columns; ++limit)
        seen += (line[limit] & 0xc0) != 0x80;
      const size_t from = line.find_first_not_of(' ');
      size_t cut = line.rfind("  ", limit - 1);
      if (cut == std::string::npos || cut <= from || 2 * cut < limit)
        cut = line.rfind(' ', limit - 1);
      // A word wider than that stands alone.
      if (cut == std::string::npos || cut <= from) cut = line.find(' ', std::max(from, limit));
      const size_t rest = line.find_first_not_of(' ', std::min(cut, line.size()));
      if (rest == std::string::npos) break;  // nothing more, or spaces
      out += line.substr(0, line.find_last_not_of(' ', cut) + 1) + '\n';
      line = std::string(indent) + line.substr(rest);
    }
    out += line + (end < text.size() ? "\n" : "");
  }
  return out;
}

std::string csv_line(const TableRow& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += ',';
    if (cells[i].find_first_of(",\"\r\n") == std::string::npos) {
      line += cells[i];
      continue;
    }
    line += '"';
    for (const char c : cells[i]) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + '\n';
}

std::vector<TableRow> read_csv(const std::string& text, const std::string& where) {
  CsvReader reader(text, ',', where);
  std::vector<TableRow> rows;
  std::vector<std::string_view> cells;
  while (reader.next(cells)) rows.emplace_back(cells.begin(), cells.end());
  return rows;
}

}  // namespace rung

#include "core/table.h"

#include <algorithm>
#include <cstdlib>

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
  std::vector<TableRow> rows;
  TableRow row;
  std::string cell;
  bool quoted = false, was_quoted = false;
  size_t line = 1, opened = 0;
  const auto end_row = [&] {
    if (!row.empty() || !cell.empty() || was_quoted) {
      row.push_back(std::exchange(cell, {}));
      rows.push_back(std::exchange(row, {}));
    }
    was_quoted = false;
  };
  for (size_t i = text.starts_with("\xef\xbb\xbf") ? 3 : 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      cell += text[++i];
    } else if (quoted && c != '"') {
      cell += c;
    } else if (c == '"' && (quoted || cell.empty())) {
      quoted = !quoted;
      was_quoted = true;
      opened = line;
    } else if (c == ',') {
      row.push_back(std::exchange(cell, {}));
      was_quoted = false;
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r' || (i + 1 < text.size() && text[i + 1] != '\n')) {
      cell += c;
    }
  }
  if (quoted) fail("[csv] {}: the quote opened on line {} never closes.", where, opened);
  end_row();
  return rows;
}

}  // namespace rung

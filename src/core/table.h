// Tables as text for people (aligned columns) and as CSV for programs.
#pragma once
#include <string>
#include <vector>

namespace rung {

using TableRow = std::vector<std::string>;

// Columns two spaces apart, numbers to the right, a rule below the head; ends in a newline.
// Rows shorter than the head are filled with empty cells; longer ones fail.
std::string text_table(const TableRow& head, const std::vector<TableRow>& rows);

// The text with lines wider than `columns` broken between cells (two spaces) where one ends in the
// second half, else between words, and rules cut: a narrow terminal would break them inside
// numbers. Commands (lines that begin with `rung `) stay whole, to be copied.
std::string fit_lines(const std::string& text, size_t columns);

// One line of CSV (RFC 4180) with its newline: cells with commas, quotes or line breaks are quoted.
std::string csv_line(const TableRow& cells);

// The cells of CSV text, line by line; quoted cells may hold line breaks. Empty lines are skipped.
// Fails, naming `where` and the line, on a quote that never closes.
std::vector<TableRow> read_csv(const std::string& text, const std::string& where);

}  // namespace rung

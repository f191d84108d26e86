// Columns read from CSV, TSV, JSON lines or a JSON array, or from a tracker's export
// (law/exports.h), and the columns N, D, C and L found among them. Counts are doubles: 6 N D
// exceeds 64-bit integers.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rung {

// `values` is NaN where a cell is empty or no number (`1e6`, `10M`); `text` is kept only for
// columns that hold other cells than plain numbers.
struct Column {
  std::string name;
  std::vector<double> values{};
  std::vector<std::string> text{};
};

// A bad cell as errors name it: its text, where that is no number, and how it would be one.
// `column` may be null.
std::string shown_cell(const Column* column, size_t row, double value);

struct Table {
  std::vector<Column> columns{};
  size_t rows = 0;
  // Row r (from 1) stands on line r + header_lines of a file without line breaks in cells.
  int header_lines = 0;
  std::string source = "table";   // file name, for errors
  std::string sha256{};           // of the file's bytes; empty for a table made in memory
  std::vector<int64_t> index{};   // what the caller calls its rows (a data frame's index), if known
  std::vector<size_t> numbers{};  // of a part of a table: each row's index in the whole

  // Adds a column; all columns must be equally long (fails otherwise).
  void add(std::string name, std::vector<double> values);
  // The same from cells as they stand in a file: numbers, or text.
  void add_cells(std::string name, const std::vector<std::string>& cells);
  const Column* find(std::string_view name) const;  // exact name, or null
  std::string where(size_t row) const;              // "row 3 (line 4)" for row index 2
};

enum class TableFormat { csv, tsv, jsonl };

// By the file's extension; by its first bytes when that says nothing. Fails naming file and line.
Table read_table(const std::filesystem::path& path);
Table parse_table(std::string_view text, TableFormat format, const std::string& source = "table");

// Which column holds N, D, C, L and whatever else a law reads: `N=params,D=tokens,L=loss` (usage
// error otherwise).
std::map<std::string, std::string> parse_column_map(std::string_view text);

// The column of a quantity: the mapped one, or one named like it (N|params|parameters|model size,
// D|tokens, C|flops|training flop, L|loss, or the quantity's own name) in any case. Null when there
// is none; a mapped column that does not exist is a usage error.
const Column* match_column(const Table& table, const std::string& quantity,
                           const std::map<std::string, std::string>& mapping);

}  // namespace rung

#include "law/table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/csv.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/nearest.h"
#include "core/number.h"
#include "core/shell.h"
#include "law/exports.h"

namespace rung {
namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// The number that a cell holds; false for anything else. "nan" and "inf" are numbers (and bad
// values later).
bool read_number(std::string_view cell, double& value) {
  cell = trim(cell);
  if (!cell.empty() && cell[0] == '+') cell.remove_prefix(1);
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error == std::errc::result_out_of_range && end == cell.data() + cell.size()) {
    value = std::numeric_limits<double>::infinity();
    return true;
  }
  return error == std::errc() && end == cell.data() + cell.size() && !cell.empty();
}

// Appends one cell; text is kept from the first cell that is no number on. `70M` is both: a size to
// a law, a name to --where and --by.
void push_cell(Column& column, std::string_view cell) {
  double value = missing;
  const bool number = read_number(cell, value);
  if (!number) value = parse_number(std::string(trim(cell))).value_or(missing);
  if (!number && column.text.empty()) {
    for (const double earlier : column.values) column.text.push_back(fmt::format("{}", earlier));
  }
  if (!number || !column.text.empty()) column.text.emplace_back(trim(cell));
  column.values.push_back(value);
}

// "3,1" stands for 3.1 where cells are parted by semicolons.
std::string with_point(std::string_view cell) {
  std::string number(cell);
  std::replace(number.begin(), number.end(), ',', '.');
  return number;
}

bool is_decimal(std::string_view cell) {
  return std::count(cell.begin(), cell.end(), ',') == 1 &&
         cell.find('.') == std::string_view::npos && parse_number(with_point(trim(cell)));
}

// The digits of "125,000,000"; empty for anything else.
std::string parted_digits(std::string_view cell) {
  const size_t first = cell.find_first_of(",. '_");
  if (first == 0 || first > 3) return {};
  std::string digits(cell.substr(0, first));
  for (size_t i = first; i < cell.size(); i += 4) {
    if (cell[i] != cell[first] || i + 4 > cell.size()) return {};
    digits += cell.substr(i + 1, 3);
  }
  return digits.find_first_not_of("0123456789") == std::string::npos ? digits : "";
}

// How a cell that is no number would be one. Separators are not read: "1,234" is 1234 to some and
// 1.234 to others.
std::string spelled_plainly(std::string_view cell) {
  const std::string digits = parted_digits(cell), point = is_decimal(cell) ? with_point(cell) : "";
  if (digits.empty() && point.empty()) return {};
  return fmt::format(" (write {}{}{}: separators are not read)", digits,
                     digits.empty() || point.empty() ? "" : " or ", point);
}

Table parse_delimited(std::string_view text, char delimiter, const std::string& source) {
  Table table{.header_lines = 1, .source = source};
  CsvReader records(text, delimiter, source);
  std::vector<std::string_view> cells;
  if (!records.next(cells)) fail("[table] The file is empty. Received {}.", source);
  for (const std::string_view name : cells)
    table.columns.push_back({.name = std::string(trim(name))});
  for (size_t i = 0; i < table.columns.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (!table.columns[i].name.empty() && table.columns[i].name == table.columns[j].name)
        fail("[table] Two columns have one name. Received {} in {}. Rename one.",
             table.columns[i].name, source);
  while (records.next(cells)) {
    if (cells.size() != table.columns.size())
      fail("[table] A row has {} fields where the header has {}. Received {}, row {} (line {}).",
           cells.size(), table.columns.size(), source, table.rows + 1, records.line());
    for (size_t i = 0; i < cells.size(); ++i)
      if (delimiter == ';' && is_decimal(cells[i]))
        push_cell(table.columns[i], with_point(cells[i]));
      else
        push_cell(table.columns[i], cells[i]);
    ++table.rows;
  }
  return table;
}

std::string cell_text(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

constexpr int deepest = 8;  // levels of nested objects; what lies below stays one text

// The values of one object; those of an object within it are columns named OUTER.INNER, as trackers
// hold configurations and summaries.
void push_values(Table& table, const Json& object, const std::string& prefix, int depth,
                 const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    const std::string name = prefix + key;
    if (value.is_object() && depth < deepest) {
      push_values(table, value, name + ".", depth + 1, where);
      continue;
    }
    auto column = std::find_if(table.columns.begin(), table.columns.end(),
                               [&](const Column& c) { return c.name == name; });
    if (column == table.columns.end()) {
      if (table.columns.size() >= 4096)
        fail("[table] More than 4096 different keys. Received {}, {}.", table.source, where);
      table.columns.push_back({.name = name});
      column = std::prev(table.columns.end());
      while (column->values.size() < table.rows) push_cell(*column, "");
    }
    if (column->values.size() > table.rows)
      fail("[table] Two keys make one column. Received {} in {}, {}. Rename one.", name,
           table.source, where);
    push_cell(*column, cell_text(value));
  }
}

// One object as a row: keys are columns, and columns that it lacks stay empty.
void push_object(Table& table, const Json& object, const std::string& where) {
  push_values(table, object, "", 1, where);
  ++table.rows;
  for (Column& column : table.columns)
    if (column.values.size() < table.rows) push_cell(column, "");
}

Table parse_json_lines(std::string_view text, const std::string& source) {
  Table table{.source = source};
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row = trim(text.substr(begin, end - begin));
    begin = end + 1, ++line;
    if (row.empty()) continue;
    const Json object = Json::parse(row, nullptr, false);
    if (!object.is_object())
      fail(
          "[table] A line is no JSON object. Received {}, line {}. Give an object a line, or one "
          "array of objects.",
          source, line);
    push_object(table, object, fmt::format("line {}", line));
  }
  if (table.rows == 0) fail("[table] The file is empty. Received {}.", source);
  return table;
}

Table parse_json_array(std::string_view text, const std::string& source) {
  const Json array = Json::parse(text, nullptr, false);
  if (!array.is_array()) fail("[table] This is no JSON array. Received {}.", source);
  if (array.empty()) fail("[table] The file is empty. Received {}.", source);
  if (!array.front().is_object()) return scalar_export(array, source);
  Table table{.source = source};
  for (size_t i = 0; i < array.size(); ++i) {
    if (!array[i].is_object())
      fail("[table] An entry is no JSON object. Received {}, entry {}.", source, i + 1);
    push_object(table, array[i], fmt::format("entry {}", i + 1));
  }
  return table;
}

std::string lower(std::string_view text) {
  std::string result;
  for (const char c : text)
    result +=
        c == '_' || c == '-' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// Names under which a quantity goes, in order of preference.
std::vector<std::string_view> aliases(std::string_view quantity) {
  if (quantity == "N") return {"N", "params", "parameters", "model size", "num params"};
  if (quantity == "D") return {"D", "tokens", "training tokens", "num tokens"};
  if (quantity == "C") return {"C", "flops", "flop", "training flop", "training flops", "compute"};
  if (quantity == "L") return {"L", "loss"};
  return {quantity};
}

}  // namespace

std::string shown_cell(const Column* column, size_t row, double value) {
  if (!std::isnan(value)) return fmt::format("{}", value);
  if (!column || column->text.empty()) return "no number";
  const std::string& cell = column->text[row];
  return cell.empty() ? "an empty cell" : fmt::format("\"{}\"{}", cell, spelled_plainly(cell));
}

void Table::add(std::string name, std::vector<double> values) {
  if (!columns.empty() && values.size() != rows)
    fail("[table] Columns must be equally long. Received {} values for {} and {} rows.",
         values.size(), name, rows);
  rows = values.size();
  columns.push_back({.name = std::move(name), .values = std::move(values)});
}

void Table::add_cells(std::string name, const std::vector<std::string>& cells) {
  Column column{.name = std::move(name)};
  for (const std::string& cell : cells) push_cell(column, cell);
  add(column.name, std::move(column.values));
  columns.back().text = std::move(column.text);
}

const Column* Table::find(std::string_view name) const {
  for (const Column& column : columns)
    if (column.name == name) return &column;
  return nullptr;
}

std::string Table::where(size_t row) const {
  if (!numbers.empty()) row = numbers[row];
  if (row < index.size()) return fmt::format("row {} (index {})", row + 1, index[row]);
  if (header_lines == 0) return fmt::format("row {}", row + 1);
  return fmt::format("row {} (line {})", row + 1, row + 1 + header_lines);
}

namespace {

// Spreadsheets of many languages write semicolons, as their numbers have decimal commas.
char delimiter_of(std::string_view text, TableFormat format) {
  if (format == TableFormat::tsv) return '\t';
  const std::string_view header = text.substr(0, text.find('\n'));
  const bool semicolons =
      header.find(',') == std::string_view::npos && header.find(';') != std::string_view::npos;
  return semicolons ? ';' : ',';
}

}  // namespace

Table parse_table(std::string_view text, TableFormat format, const std::string& source) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  if (text.find('\0') != std::string_view::npos)
    fail("[table] This is no text file. Received {}. Give CSV, TSV or JSON lines.", source);
  if (format == TableFormat::jsonl && trim(text.substr(0, 4096)).substr(0, 1) == "[")
    return parse_json_array(text, source);
  if (format == TableFormat::jsonl) return parse_json_lines(text, source);
  return lengthen_chart_export(parse_delimited(text, delimiter_of(text, format), source));
}

Table read_table(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  const std::string extension = lower(path.extension().string());
  for (const auto& [packed, program] :
       {std::pair{".gz", "gunzip"}, {".zst", "unzstd"}, {".xz", "unxz"}, {".bz2", "bunzip2"}})
    if (extension == packed)
      fail("[table] A compressed table is not read. Received {}. Unpack it: {} -k {}",
           path.string(), program, shell_quoted(path.string()));
  const std::string_view start = trim(std::string_view(text).substr(0, 4096));
  const std::string_view header = start.substr(0, start.find('\n'));
  TableFormat format = TableFormat::csv;
  if (extension == ".jsonl" || extension == ".ndjson" || start.substr(0, 1) == "{" ||
      start.substr(0, 1) == "[") {
    format = TableFormat::jsonl;
  } else if (extension == ".tsv" || (header.find(',') == std::string_view::npos &&
                                     header.find('\t') != std::string_view::npos)) {
    format = TableFormat::tsv;
  }
  Table table = parse_table(text, format, path.string());
  table.sha256 = sha256(text);
  return table;
}

std::map<std::string, std::string> parse_column_map(std::string_view text) {
  std::map<std::string, std::string> mapping;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view pair = text.substr(0, comma);
    const size_t equals = pair.find('=');
    const std::string name(trim(pair.substr(0, equals)));
    if (equals == std::string_view::npos || name.empty() || trim(pair.substr(equals + 1)).empty())
      fail_usage(
          "[columns] Expected NAME=COLUMN,... Received {}. Example: N=params,D=tokens,L=loss.",
          pair);
    if (!mapping.emplace(name, trim(pair.substr(equals + 1))).second)
      fail_usage("[columns] {} is given twice. Received {}.", name, pair);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return mapping;
}

const Column* match_column(const Table& table, const std::string& quantity,
                           const std::map<std::string, std::string>& mapping) {
  if (const auto given = mapping.find(quantity); given != mapping.end()) {
    if (const Column* column = table.find(given->second)) return column;
    std::vector<std::string_view> names;
    for (const Column& column : table.columns) names.push_back(column.name);
    const std::string given_as = quantity == given->second ? "" : quantity + "=";
    fail_usage("[columns] {} has no such column. Received {}{}. The nearest is {}.", table.source,
               given_as, given->second, nearest_name(given->second, names));
  }
  if (const Column* exact = table.find(quantity)) return exact;
  for (const std::string_view alias : aliases(quantity))
    for (const Column& column : table.columns)
      if (lower(column.name) == lower(alias)) return &column;
  return nullptr;
}

}  // namespace rung

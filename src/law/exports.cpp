#include "law/exports.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/json.h"

namespace rung {
namespace {

constexpr double no_value = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view separator = " - ";

struct Series {
  std::string run, key;
  const Column* column = nullptr;
};

// The series that a column holds: its bounds stand beside it in the table.
std::optional<Series> series_of(const Table& table, const Column& column) {
  const size_t at = column.name.rfind(separator);
  if (at == std::string::npos || at == 0) return std::nullopt;
  if (!table.find(column.name + "__MIN") || !table.find(column.name + "__MAX")) return std::nullopt;
  return Series{column.name.substr(0, at), column.name.substr(at + separator.size()), &column};
}

// Bounds of a series, which say nothing that a fit reads, and a run's own step column.
bool beside_a_series(const Table& table, std::string_view name) {
  for (const std::string_view suffix : {"__MIN", "__MAX"})
    if (name.ends_with(suffix) && table.find(name.substr(0, name.size() - suffix.size())))
      return true;
  return name.ends_with(" - _step");
}

struct LongTable {
  Column run{.name = "run"}, abscissa{};
  std::vector<Column> keys{};

  Column& key(const std::string& name) {
    const auto found =
        std::find_if(keys.begin(), keys.end(), [&](const Column& c) { return c.name == name; });
    if (found != keys.end()) return *found;
    keys.push_back({.name = name});
    return keys.back();
  }

  void add_run(const std::string& name, const Column& x, const std::vector<Series>& series) {
    for (size_t row = 0; row < x.values.size(); ++row) {
      const bool any = std::any_of(series.begin(), series.end(), [&](const Series& s) {
        return s.run == name && !std::isnan(s.column->values[row]);
      });
      if (!any) continue;
      run.values.push_back(no_value), run.text.push_back(name);
      abscissa.values.push_back(x.values[row]);
      for (const Series& s : series)
        if (s.run == name) {
          Column& column = key(s.key);
          column.values.resize(run.values.size() - 1, no_value);
          column.values.push_back(s.column->values[row]);
        }
    }
  }
};

}  // namespace

Table lengthen_chart_export(Table table) {
  std::vector<Series> series;
  for (size_t i = 1; i < table.columns.size(); ++i) {
    if (const auto found = series_of(table, table.columns[i]))
      series.push_back(*found);
    else if (!beside_a_series(table, table.columns[i].name))
      return table;
  }
  if (series.empty()) return table;
  LongTable points;
  points.abscissa.name = table.columns[0].name;
  std::vector<std::string> runs;
  for (const Series& s : series)
    if (std::find(runs.begin(), runs.end(), s.run) == runs.end()) runs.push_back(s.run);
  for (const std::string& run : runs) points.add_run(run, table.columns[0], series);
  Table result{.rows = points.run.values.size(), .source = table.source, .sha256 = table.sha256};
  result.columns = {std::move(points.run), std::move(points.abscissa)};
  for (Column& column : points.keys) {
    column.values.resize(result.rows, no_value);
    result.columns.push_back(std::move(column));
  }
  return result;
}

Table scalar_export(const Json& array, const std::string& source) {
  std::vector<double> columns[3];
  for (size_t i = 0; i < array.size(); ++i) {
    const Json& point = array[i];
    if (!point.is_array() || point.size() != 3)
      fail(
          "[table] An entry is neither an object nor [wall time, step, value]. Received {}, entry "
          "{}.",
          source, i + 1);
    // TensorBoard writes values that are not finite as text, which no fit takes.
    for (size_t k = 0; k < 3; ++k)
      columns[k].push_back(point[k].is_number() ? point[k].get<double>() : no_value);
  }
  Table table{.source = source};
  table.add("Wall time", std::move(columns[0]));
  table.add("Step", std::move(columns[1]));
  table.add("Value", std::move(columns[2]));
  return table;
}

}  // namespace rung

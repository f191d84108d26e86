#include "law/procedure.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"
#include "law/column_names.h"
#include "law/expression.h"
#include "law/procedures/procedures.h"

namespace rung {
namespace {

// The table: one line a procedure.
constexpr std::array procedure_table = {
    &envelope_procedure,       &isoflop_procedure,      &isoflop_interpolated_procedure,
    &critical_batch_procedure, &noise_scale_procedure,  &step_law_procedure,
    &step_law_bowl_procedure,  &lr_horizon_procedure,   &vocabulary_1_procedure,
    &vocabulary_2_procedure,   &vocabulary_3_procedure, &downstream_procedure,
    &observational_procedure,  &skills_procedure,
};

const Column* find_raw(const Table& table, const RawColumn& column, const FitOptions& options) {
  const std::string name(column.name);
  if (const Column* found = match_column(table, name, options.columns)) return found;
  for (const std::string_view alias : column.aliases)
    if (const Column* found = match_column(table, std::string(alias), {})) return found;
  return nullptr;
}

// Names up to five rows whose value is no number of the wanted kind.
void check_values(const Table& table, const RawRows& raw, const std::vector<double>& values,
                  const RawColumn& column, std::string_view procedure) {
  const std::string& name = raw.names.at(std::string(column.name));
  std::string list;
  size_t bad = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && (column.kind != ColumnKind::positive || values[i] > 0.0))
      continue;
    if (++bad > 5) continue;
    list +=
        fmt::format("{}{} in {}", bad > 1 ? ", " : "",
                    shown_cell(table.find(name), raw.rows[i], values[i]), table.where(raw.rows[i]));
  }
  if (bad == 0) return;
  fail("[{}] {} must be finite{}. Received {}{}. Correct the rows or leave them out with --where.",
       procedure, name, column.kind == ColumnKind::positive ? " and positive" : "", list,
       bad > 5 ? fmt::format(" and {} more", bad - 5) : "");
}

// Numbers for names, in order of appearance.
std::vector<double> label_numbers(const Column& column, const std::vector<size_t>& rows,
                                  std::vector<std::string>& labels) {
  std::map<std::string, double> seen;
  std::vector<double> numbers;
  for (const size_t row : rows) {
    const std::string text =
        column.text.empty() ? fmt::format("{}", column.values[row]) : column.text[row];
    const auto [found, fresh] = seen.emplace(text, static_cast<double>(seen.size()));
    if (fresh) labels.push_back(text);
    numbers.push_back(found->second);
  }
  return numbers;
}

bool wants(const Procedure& procedure, std::string_view name) {
  return std::any_of(procedure.columns.begin(), procedure.columns.end(),
                     [&](const RawColumn& c) { return c.name == name; });
}

// The columns of a list: those that are mapped, or every other one that is all numbers.
std::vector<std::string> list_columns(const Table& table, const RawRows& raw,
                                      const RawColumn& wanted, const FitOptions& options) {
  std::vector<std::string> names;
  if (const auto mapped = options.columns.find(std::string(wanted.name));
      mapped != options.columns.end()) {
    std::string_view text = mapped->second;
    while (!text.empty()) {
      const size_t plus = std::min(text.find('+'), text.size());
      const std::string name(text.substr(0, plus));
      match_column(table, name, {{name, name}});  // a usage error where there is none
      names.push_back(name);
      text.remove_prefix(std::min(plus + 1, text.size()));
    }
    return names;
  }
  for (const Column& column : table.columns) {
    const bool read = std::any_of(raw.names.begin(), raw.names.end(),
                                  [&](const auto& entry) { return entry.second == column.name; });
    const bool numbers = std::all_of(raw.rows.begin(), raw.rows.end(),
                                     [&](size_t row) { return std::isfinite(column.values[row]); });
    const bool count = column.name == "N" || column.name == "D" || column.name == "C";
    if (!read && !count && numbers) names.push_back(column.name);
  }
  return names;
}

// N, D and C follow from each other by C = 6 N D.
void derive_counts(const Procedure& procedure, RawRows& raw) {
  const auto add = [&](const char* name, const char* a, const char* b, auto formula) {
    if (!wants(procedure, name) || raw.has(name) || !raw.has(a) || !raw.has(b)) return;
    std::vector<double> values(raw.rows.size());
    for (size_t i = 0; i < values.size(); ++i) values[i] = formula(raw[a][i], raw[b][i]);
    raw.table.add(name, std::move(values));
    raw.names[name] = name;
  };
  add("C", "N", "D", [](double n, double d) { return 6.0 * n * d; });
  add("D", "C", "N", [](double c, double n) { return c / (6.0 * n); });
  add("N", "C", "D", [](double c, double d) { return c / (6.0 * d); });
}

void read_list(const Table& table, const Procedure& procedure, const RawColumn& wanted,
               const FitOptions& options, RawRows& raw) {
  raw.listed = list_columns(table, raw, wanted, options);
  for (const std::string& name : raw.listed) {
    raw.names[name] = name;
    std::vector<double> values;
    for (const size_t row : raw.rows) values.push_back(table.find(name)->values[row]);
    check_values(table, raw, values, {.name = name, .kind = ColumnKind::real}, procedure.name);
    raw.table.add(name, std::move(values));
  }
}

}  // namespace

const std::vector<double>& RawRows::operator[](std::string_view name) const {
  const Column* column = table.find(name);
  if (!column) fail("[procedure] Rows without a column {}. Received {} rows.", name, rows.size());
  return column->values;
}

std::span<const Procedure* const> procedures() {
  return procedure_table;
}

const Procedure* find_procedure(std::string_view name) {
  for (const Procedure* procedure : procedure_table)
    if (procedure->name == name) return procedure;
  return nullptr;
}

const Law* find_procedure_law(std::string_view name) {
  for (const Procedure* procedure : procedure_table) {
    if (procedure->composed && procedure->composed->name == name) return procedure->composed;
    for (const Law* law : procedure->laws)
      if (law->name == name) return law;
  }
  return nullptr;
}

Settings read_settings(const Procedure& procedure, const FitOptions& options) {
  Settings settings;
  std::vector<std::string_view> names;
  for (const ProcedureSetting& setting : procedure.settings) {
    settings[std::string(setting.name)] = setting.value;
    names.push_back(setting.name);
  }
  for (const auto& [name, value] : options.settings) {
    const auto found = settings.find(name);
    if (found == settings.end() && names.empty())
      fail_usage("[{}] It has no settings. Received {}={}.", procedure.name, name, value);
    if (found == settings.end())
      fail_usage("[{}] Unknown setting. Received {}={}. The nearest is {}.", procedure.name, name,
                 value, nearest_name(name, names));
    if (!std::isfinite(value))
      fail_usage("[{}] {} must be finite. Received {}.", procedure.name, name, value);
    found->second = value;
  }
  return settings;
}

RawRows read_rows(const Table& table, const Procedure& procedure, const FitOptions& options) {
  RawRows raw;
  std::vector<std::string_view> read;
  for (const RawColumn& wanted : procedure.columns) read.push_back(wanted.name);
  check_column_names(options, procedure.name, read);
  raw.rows = filter_rows(table, options.where, options.columns);
  if (raw.rows.empty())
    fail("[{}] No row is left. Received {} with {} rows and the filter {}.", procedure.name,
         table.source, table.rows, options.where.empty() ? "(none)" : options.where);
  raw.table.source = table.source;
  for (const RawColumn& wanted : procedure.columns) {
    if (wanted.kind == ColumnKind::list) continue;
    const Column* column = find_raw(table, wanted, options);
    if (!column) continue;
    const std::string name(wanted.name);
    raw.names[name] = column->name;
    std::vector<double> values;
    if (wanted.kind == ColumnKind::label)
      values = label_numbers(*column, raw.rows, raw.labels[name]);
    else
      for (const size_t row : raw.rows) values.push_back(column->values[row]);
    check_values(table, raw, values, wanted, procedure.name);
    raw.table.add(name, std::move(values));
  }
  derive_counts(procedure, raw);
  for (const RawColumn& wanted : procedure.columns) {
    if (wanted.kind == ColumnKind::list) read_list(table, procedure, wanted, options, raw);
    if (wanted.kind == ColumnKind::list || wanted.optional || raw.has(wanted.name)) continue;
    fail_no_column(table, procedure.name, std::string(wanted.name));
  }
  return raw;
}

}  // namespace rung

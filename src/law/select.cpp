#include "law/select.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "law/bind.h"
#include "law/column_names.h"
#include "law/expression.h"

namespace rung {
namespace {

using Values = std::vector<double>;

std::optional<Values> pick(const Column* column, const std::vector<size_t>& rows) {
  if (!column) return std::nullopt;
  Values values(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) values[i] = column->values[rows[i]];
  return values;
}

bool allowed(Domain domain, double value) {
  if (!std::isfinite(value)) return false;
  return domain == Domain::real || value > 0.0 || (domain == Domain::non_negative && value == 0.0);
}

// Names up to five bad rows of a quantity, which `column` (or null) holds; returns without a word
// when all values lie in the domain.
void check_values(const Table& table, const std::vector<size_t>& rows, const Values& values,
                  const Column* column, std::string_view quantity,
                  Domain domain = Domain::positive) {
  std::string list;
  size_t bad = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (allowed(domain, values[i]) || ++bad > 5) continue;
    list += fmt::format("{}{} in {}", bad > 1 ? ", " : "", shown_cell(column, rows[i], values[i]),
                        table.where(rows[i]));
  }
  if (bad == 0) return;
  constexpr std::string_view demands[] = {" and positive", " and not negative", ""};
  fail("[fit] {} must be finite{}. Received {}{}. Correct the rows or leave them out with --where.",
       quantity, demands[static_cast<int>(domain)], list,
       bad > 5 ? fmt::format(" and {} more", bad - 5) : "");
}

// N, D, C as far as the table has them or they follow from C = 6 N D.
std::map<std::string, Values> read_quantities(const Table& table, const FitOptions& options,
                                              const std::vector<size_t>& rows) {
  std::map<std::string, Values> found;
  for (const char* name : {"N", "D", "C"})
    if (auto values = pick(match_column(table, name, options.columns), rows)) found[name] = *values;
  const auto derive = [&](const char* name, const char* from, auto formula) {
    if (found.contains(name) || !found.contains(from) || !found.contains("N")) return;
    Values values(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) values[i] = formula(found["N"][i], found[from][i]);
    found[name] = std::move(values);
  };
  derive("C", "D", [](double n, double d) { return 6.0 * n * d; });
  derive("D", "C", [](double n, double c) { return c / (6.0 * n); });
  return found;
}

// Counts among the law's inputs that no column gives and that follow from no others (D from C and
// N); laws that make inputs of their own say themselves what they lack.
std::vector<std::string> absent_counts(const Law& law, const Table& table,
                                       const FitOptions& options) {
  const auto has = [&](const char* name) { return match_column(table, name, options.columns); };
  std::vector<std::string> absent;
  if (law.bind) return absent;
  for (const char* name : {"N", "D", "C"}) {
    const bool is_input = std::find(law.inputs.begin(), law.inputs.end(), name) != law.inputs.end();
    const bool follows = *name != 'N' && has(*name == 'D' ? "C" : "D");
    if (is_input && !has(name) && !follows) absent.push_back(name);
  }
  return absent;
}

// What an input stands for. The one-variable laws' x is, unless mapped: C, else N, else D, else a
// column x.
std::string resolve_input(const Table& table, const FitOptions& options, const Selection& selection,
                          std::string_view input) {
  const std::string name(input);
  const auto mapped = options.columns.find(name);
  if (mapped != options.columns.end()) {
    const std::string& target = mapped->second;
    for (const char* quantity : {"N", "D", "C"}) {
      const Column* column = match_column(table, quantity, options.columns);
      if (target == quantity && selection.quantities.contains(quantity) && !table.find(target))
        return target;
      if (column && column->name == target) return quantity;
    }
    return target;
  }
  // Before a column x: plot digitisers leave figure coordinates under that name.
  if (name == "x")
    for (const char* quantity : {"C", "N", "D"})
      if (selection.quantities.contains(quantity)) return quantity;
  if (selection.quantities.contains(name) || match_column(table, name, {})) return name;
  std::vector<std::string> others = absent_counts(*selection.law, table, options);
  std::erase(others, name);
  fail_no_column(table, "fit", name, others);
}

void fill_inputs(const Table& table, const FitOptions& options, Selection& selection,
                 const BoundLaw& bound, const Values& loss, const Values& weight) {
  const Law& law = *selection.law;
  std::vector<Values> inputs;
  for (size_t i = 0; i < law.inputs.size(); ++i) {
    const std::string input(law.inputs[i]);
    if (const auto own = bound.inputs.find(input); own != bound.inputs.end()) {
      inputs.emplace_back();
      for (const size_t row : selection.rows) inputs.back().push_back(own->second[row]);
      selection.inputs.push_back(input);
      continue;
    }
    const std::string name = resolve_input(table, options, selection, input);
    const auto known = selection.quantities.find(name);
    const Column* column = known != selection.quantities.end() ? nullptr
                           : options.columns.contains(input)
                               ? match_column(table, name, {{name, name}})
                               : match_column(table, name, {});
    inputs.push_back(column ? *pick(column, selection.rows) : known->second);
    check_values(table, selection.rows, inputs.back(),
                 column ? column : match_column(table, name, options.columns), name,
                 law.input_rule(i).domain);
    selection.inputs.push_back(name);
  }
  const size_t k = law.inputs.size();
  selection.data.inputs = k;
  double row[2 * max_inputs];
  for (size_t i = 0; i < loss.size(); ++i) {
    for (size_t j = 0; j < k; ++j) {
      row[j] = inputs[j][i];
      row[k + j] = std::log(inputs[j][i]);
    }
    selection.data.push(row, loss[i], weight[i]);
  }
}

// Weights from a column, from standard deviations, or ones.
Values read_weights(const Table& table, const FitOptions& options, Selection& selection,
                    const Values& loss) {
  Values weight(loss.size(), 1.0);
  const auto read = [&](const std::string& name) {
    const Column* column = match_column(table, name, {{name, name}});
    Values values = *pick(column, selection.rows);
    check_values(table, selection.rows, values, column, name, Domain::non_negative);
    return values;
  };
  if (!options.weight_column.empty()) weight = read(options.weight_column);
  if (options.sd_column.empty()) return weight;
  const Values sd = read(options.sd_column);
  const Objective objective = objective_of(*selection.law, options);
  double sum = 0.0;
  for (size_t i = 0; i < sd.size(); ++i) {
    const double size = std::fabs(loss[i]), floored = std::max(sd[i], options.sd_floor * size);
    if (!(floored > 0.0))
      fail("[fit] {} is 0 in {} where {} is 0 too, so the row has no finite weight. Leave it out.",
           options.sd_column, table.where(selection.rows[i]), selection.law->target);
    selection.sd.push_back(objective.log_residual ? floored / size : floored);
    weight[i] /= selection.sd.back() * selection.sd.back();
    sum += weight[i];
  }
  // Robust objectives have a threshold in the residual's own unit: their weights average one.
  if (objective.penalty != Penalty::square)
    for (double& w : weight) w *= static_cast<double>(sd.size()) / sum;
  return weight;
}

// Numbers the rows' clusters in the order of their first rows.
void fill_clusters(const Table& table, const FitOptions& options, Selection& selection) {
  if (options.cluster_column.empty()) return;
  const std::string& name = options.cluster_column;
  const Column& column = *match_column(table, name, {{name, name}});
  std::map<std::pair<double, std::string>, int> known;
  for (const size_t row : selection.rows) {
    const bool number = !std::isnan(column.values[row]);
    const std::string text = number || column.text.empty() ? "" : column.text[row];
    const auto key = std::make_pair(number ? column.values[row] : 0.0, text);
    selection.cluster.push_back(known.emplace(key, static_cast<int>(known.size())).first->second);
  }
}

void fill_ranges(Selection& selection) {
  const auto range = [](const Values& values) {
    const auto [lo, hi] = std::minmax_element(values.begin(), values.end());
    return Range{*lo, *hi};
  };
  for (const auto& [name, values] : selection.quantities) selection.ranges[name] = range(values);
  if (selection.quantities.contains("N") && selection.quantities.contains("D")) {
    Values ratio = selection.quantities.at("D");
    for (size_t i = 0; i < ratio.size(); ++i) ratio[i] /= selection.quantities.at("N")[i];
    selection.ranges["D/N"] = range(ratio);
  }
  const size_t k = selection.data.inputs;
  for (size_t j = 0; j < k; ++j) {
    Values values;
    for (size_t i = 0; i < selection.data.rows(); ++i)
      values.push_back(selection.data.x[2 * k * i + j]);
    selection.ranges[selection.inputs[j]] = range(values);
  }
}

}  // namespace

Objective objective_of(const Law& law, const FitOptions& options) {
  return find_objective(options.objective.empty() ? law.objective : options.objective);
}

Selection select_rows(const Table& table, const FitOptions& options) {
  return select_rows(find_law(options.law), table, options);
}

Selection select_rows(const Law& law, const Table& table, const FitOptions& options) {
  Selection selection{.law = &law};
  const std::string target(selection.law->target);
  check_column_names(options, law.name, columns_of(law));
  selection.rows = filter_rows(table, options.where, options.columns);
  if (selection.rows.empty())
    fail("[fit] No row is left. Received {} with {} rows and the filter {}.", table.source,
         table.rows, options.where.empty() ? "(none)" : options.where);
  BoundLaw bound;
  if (law.bind) {
    bound = law.bind(law, {table, selection.rows, options.columns, options.schedules.get()});
    selection.made = bound.law;
    selection.law = bound.law.get();
    selection.bound = bound.diagnostics;
  }
  const Column* column = match_column(table, target, options.columns);
  if (!column) fail_no_column(table, "fit", target, absent_counts(law, table, options));
  const Values loss = *pick(column, selection.rows);
  // A loss is positive whatever the objective; other targets only need it for their logarithm.
  const bool positive = target == "L" || objective_of(*selection.law, options).log_residual;
  check_values(table, selection.rows, loss, column, column->name,
               positive ? Domain::positive : Domain::real);
  selection.quantities = read_quantities(table, options, selection.rows);
  const Values weight = read_weights(table, options, selection, loss);
  fill_inputs(table, options, selection, bound, loss, weight);
  fill_clusters(table, options, selection);
  std::erase_if(selection.quantities, [](const auto& entry) {
    return std::any_of(entry.second.begin(), entry.second.end(),
                       [](double v) { return !(v > 0.0) || !std::isfinite(v); });
  });
  fill_ranges(selection);
  return selection;
}

Selection subset(const Selection& from, const std::vector<size_t>& positions) {
  Selection result{.law = from.law, .made = from.made, .inputs = from.inputs};
  result.data.inputs = from.data.inputs;
  for (const size_t at : positions) {
    result.data.push(from.data.x.data() + at * 2 * from.data.inputs, from.data.loss[at],
                     from.data.weight[at]);
    result.rows.push_back(from.rows[at]);
    if (!from.cluster.empty()) result.cluster.push_back(from.cluster[at]);
    if (!from.sd.empty()) result.sd.push_back(from.sd[at]);
    for (const auto& [name, values] : from.quantities)
      result.quantities[name].push_back(values[at]);
  }
  fill_ranges(result);
  return result;
}

}  // namespace rung

#include "law/diagnose_rows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "law/diagnose_note.h"

namespace rung {
namespace {

constexpr double largest_loss = 20.0;  // nats per token: beyond a uniform guess over any vocabulary
constexpr double smallest_vocabulary = 128.0;
constexpr size_t few_clusters = 10;

using List = Diagnostics;
using Values = std::vector<double>;

void check_repeats(const Table& table, const Selection& selection, List& list) {
  const size_t k = selection.data.inputs, rows = selection.data.rows();
  const double* x = selection.data.x.data();
  const auto compare = [&](size_t a, size_t b) {
    for (size_t j = 0; j < k; ++j)
      if (x[2 * k * a + j] != x[2 * k * b + j]) return x[2 * k * a + j] < x[2 * k * b + j] ? -1 : 1;
    const double left = selection.data.loss[a], right = selection.data.loss[b];
    return left < right ? -1 : left > right ? 1 : 0;
  };
  std::vector<size_t> order(rows);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int sign = compare(a, b);
    return sign < 0 || (sign == 0 && a < b);
  });
  std::vector<std::pair<size_t, size_t>> repeats;  // row, the first like it
  for (size_t i = 1, first = 0; i < rows; ++i) {
    if (compare(order[first], order[i]) == 0)
      repeats.emplace_back(order[i], order[first]);
    else
      first = i;
  }
  if (repeats.empty()) return;
  std::sort(repeats.begin(), repeats.end());
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(3, repeats.size()); ++i)
    text += fmt::format("{}{} = {}", i ? ", " : "", table.where(selection.rows[repeats[i].first]),
                        table.where(selection.rows[repeats[i].second]));
  note(list, "duplicate-rows", Severity::warning, "{} rows repeat an earlier one exactly: {}{}.",
       repeats.size(), text, repeats.size() > 3 ? ", ..." : "");
}

void check_losses(const Table& table, const Selection& selection, List& list) {
  if (selection.law->target != "L") return;
  std::vector<size_t> high;
  for (size_t i = 0; i < selection.data.rows(); ++i)
    if (selection.data.loss[i] > largest_loss) high.push_back(i);
  if (!high.empty())
    note(list, "impossible-loss", Severity::warning,
         "{} losses exceed {} nats per token: {:.4g} in {}. Check the unit.", high.size(),
         largest_loss, selection.data.loss[high.front()], name_rows(table, selection, high));
}

// Rows whose input stands in another unit than the rest's: a wide gap, beyond it values that a
// power of 1,000 would bring in line, and losses that do not follow.
void check_mixed_units(const Table& table, const Selection& selection, List& list) {
  const size_t k = selection.data.inputs, rows = selection.data.rows();
  if (selection.law->target != "L" || rows < 6) return;
  for (size_t j = 0; j < k; ++j) {
    if (selection.law->input_rule(j).domain != Domain::positive) continue;
    const auto value = [&](size_t i) { return selection.data.x[2 * k * i + j]; };
    std::vector<size_t> order(rows);
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return value(a) < value(b); });
    size_t cut = 0;
    double gap = 1.0;
    for (size_t i = 1; i < rows; ++i)
      if (const double step = value(order[i]) / value(order[i - 1]); step > gap)
        gap = step, cut = i;
    if (gap < 50.0 || cut < 1 || rows - cut < 2) continue;
    const double lo = value(order[cut]) / 2.0, hi = value(order.back()) * 2.0;
    double unit = 0.0;
    for (const double factor : {1e3, 1e6, 1e9})
      if (value(order[0]) * factor > lo && value(order[cut - 1]) * factor < hi) unit = factor;
    if (unit == 0.0) continue;
    Values below, above;
    for (size_t i = 0; i < rows; ++i)
      (i < cut ? below : above).push_back(selection.data.loss[order[i]]);
    if (upper_median(below) > *std::max_element(above.begin(), above.end())) continue;
    note(list, "units-mixed", Severity::warning,
         "{} of {} rows hold {} some {:g} times smaller than the others without a higher loss: two "
         "units in one column ({}). Bring them to ones.",
         cut, rows, selection.inputs[j], unit,
         name_rows(table, selection, {order.begin(), order.begin() + static_cast<long>(cut)}));
  }
}

// Sizes and tokens of language models counted in thousands, millions or billions: no model has a
// hundred parameters, none was trained on a thousand tokens. What Rung's own tables count is known.
void check_counts(const Table& table, const Selection& selection, List& list) {
  if (selection.law->target != "L" || match_column(table, "branch_step", {}) ||
      !selection.quantities.contains("N") || !selection.quantities.contains("D"))
    return;
  for (const auto& [name, least] : {std::pair{"N", 1e3}, std::pair{"D", 1e4}}) {
    const Range range = selection.ranges.at(name);
    if (range.min < least)
      note(list, "units", Severity::warning,
           "{} begins at {:.4g}: {} are counted in ones, not thousands, millions or billions. "
           "Coefficients and predictions stand in the table's unit.",
           name, range.min, *name == 'N' ? "parameters" : "tokens");
  }
}

void check_vocabulary(const Selection& selection, List& list) {
  for (const char* name : {"V", "vocab_size"})
    if (const auto range = selection.ranges.find(name);
        range != selection.ranges.end() && range->second.max < smallest_vocabulary)
      note(list, "units", Severity::warning,
           "{} is at most {:.4g}: a vocabulary counts entries, not thousands of them.", name,
           range->second.max);
}

// The run that each row belongs to, numbered from 0; empty without a column of runs.
std::vector<int> runs_of(const Table& table, const Selection& selection) {
  if (!selection.cluster.empty()) return selection.cluster;
  for (const char* name : {"run", "run_id", "run_name", "exp_name", "experiment", "name"}) {
    const Column* column = match_column(table, name, {});
    if (!column) continue;
    std::map<std::pair<double, std::string>, int> known;
    std::vector<int> runs;
    for (const size_t row : selection.rows) {
      const double value = column->values[row];
      const auto key = std::isnan(value) && !column->text.empty()
                           ? std::make_pair(0.0, column->text[row])
                           : std::make_pair(std::isnan(value) ? 0.0 : value, std::string());
      runs.push_back(known.emplace(key, static_cast<int>(known.size())).first->second);
    }
    return runs;
  }
  return {};
}

// Several lengths of one run at one size are its checkpoints; those before its end have not decayed
// their learning rate and lie above the law of finished runs.
void check_checkpoints(const Table& table, const Selection& selection, List& list) {
  const auto& inputs = selection.law->inputs;
  const bool learning_curve = std::any_of(inputs.begin(), inputs.end(), [](std::string_view name) {
    return name == "step" || name == "run";
  });
  const std::vector<int> run = runs_of(table, selection);
  if (run.empty() || learning_curve || selection.law->target != "L" ||
      !selection.quantities.contains("D") || !selection.quantities.contains("N"))
    return;
  const Values &d = selection.quantities.at("D"), &n = selection.quantities.at("N");
  struct Span {
    size_t rows = 0;
    double n = 0.0, shortest = INFINITY, longest = 0.0;
    bool one_size = true;
  };
  std::map<int, Span> spans;
  for (size_t i = 0; i < run.size(); ++i) {
    Span& span = spans[run[i]];
    span.one_size &= span.rows++ == 0 || n[i] == span.n;
    span.n = n[i];
    span.shortest = std::min(span.shortest, d[i]);
    span.longest = std::max(span.longest, d[i]);
  }
  const auto several = [](const Span& s) { return s.one_size && s.longest > 1.001 * s.shortest; };
  std::vector<size_t> early;
  for (size_t i = 0; i < run.size(); ++i)
    if (const Span& s = spans[run[i]]; several(s) && d[i] < 0.999 * s.longest) early.push_back(i);
  if (early.empty()) return;
  const auto curves = std::count_if(spans.begin(), spans.end(),
                                    [&](const auto& entry) { return several(entry.second); });
  const auto finished = static_cast<std::ptrdiff_t>(spans.size()) - curves;
  // Rung's own ladders branch off a trunk: each row is the end of a cooldown of its own.
  const bool annealed = match_column(table, "branch_step", {}) != nullptr;
  if (annealed && !selection.cluster.empty()) return;
  if (finished > 0 && !annealed)
    note(list, "mixed-checkpoints", Severity::warning,
         "{} rows are earlier checkpoints of {} runs, beside {} runs with their end alone ({}): "
         "before its learning rate decays a run lies above the law of finished ones. Keep the last "
         "row of each run.",
         early.size(), curves, finished, name_rows(table, selection, early));
  else
    note(
        list, "checkpoints", Severity::note, "{} rows are {} of {} runs ({}).{}{}", early.size(),
        annealed ? "earlier branches" : "earlier checkpoints", curves,
        name_rows(table, selection, early),
        selection.cluster.empty() ? " They share noise: give the column of runs as --cluster." : "",
        annealed ? "" : " Unless each was annealed they lie above the law of finished runs.");
}

// A climb's table holds its sweeps and its target too, which its own law left out.
void check_unused(const Table& table, const Selection& selection, List& list) {
  const Column* const used = match_column(table, "used", {});
  if (!used || !match_column(table, "branch_step", {})) return;
  std::vector<size_t> unused;
  for (size_t i = 0; i < selection.rows.size(); ++i)
    if (used->values[selection.rows[i]] == 0.0) unused.push_back(i);
  if (!unused.empty())
    note(list, "unused-rows", Severity::warning,
         "{} of {} rows have used = 0 ({}): a climb's sweeps at other learning rates and its "
         "target, which its own law leaves out. So does --where 'used==1'.",
         unused.size(), selection.rows.size(), name_rows(table, selection, unused));
}

void check_clusters(const Selection& selection, const FitOptions& options, List& list) {
  if (selection.cluster.empty()) return;
  const size_t count =
      static_cast<size_t>(*std::max_element(selection.cluster.begin(), selection.cluster.end())) +
      1;
  if (count < few_clusters)
    note(list, "few-clusters", Severity::warning,
         "{} has only {} values: resampling so few clusters understates the intervals.",
         options.cluster_column, count);
}

}  // namespace

double upper_median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string name_rows(const Table& table, const Selection& selection,
                      const std::vector<size_t>& positions) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(3, positions.size()); ++i)
    text += (i ? ", " : "") + table.where(selection.rows[positions[i]]);
  return text + (positions.size() > 3 ? ", ..." : "");
}

std::vector<Diagnostic> diagnose_rows(const Table& table, const Selection& selection,
                                      const FitOptions& options) {
  List list;
  check_repeats(table, selection, list);
  check_losses(table, selection, list);
  check_mixed_units(table, selection, list);
  check_counts(table, selection, list);
  check_vocabulary(selection, list);
  for (Diagnostic& found : diagnose_counting(table, selection, options))
    list.push_back(std::move(found));
  check_checkpoints(table, selection, list);
  check_unused(table, selection, list);
  check_clusters(selection, options, list);
  return list;
}

}  // namespace rung

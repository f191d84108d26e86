#include <algorithm>
#include <cmath>
#include <numeric>

#include "law/diagnose_note.h"
#include "law/diagnose_rows.h"

namespace rung {
namespace {

constexpr double unit_step = 300.0;  // factors beyond this are taken for another unit

using List = Diagnostics;
using Values = std::vector<double>;

// A column of the table by any of several names, in the selection's rows; empty when there is none.
Values column_by_name(const Table& table, const Selection& selection,
                      std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const Column* column = match_column(table, std::string(name), {});
    if (!column) continue;
    Values values;
    for (const size_t row : selection.rows) values.push_back(column->values[row]);
    return values;
  }
  return {};
}

// Two groups of the sorted ratios, apart by more than 5 % and by three times their own widths,
// whose rows overlap in N: the same sizes counted in two ways.
bool two_conventions(const Values& ratio, const Values& n, std::vector<size_t>& minority) {
  std::vector<size_t> order(ratio.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ratio[a] < ratio[b]; });
  size_t cut = 0;
  double gap = 0.0;
  for (size_t i = 1; i < order.size(); ++i)
    if (const double step = ratio[order[i]] - ratio[order[i - 1]]; step > gap) gap = step, cut = i;
  if (cut < 2 || order.size() - cut < 2 || gap < std::log(1.05)) return false;
  const double width =
      std::max(ratio[order[cut - 1]] - ratio[order[0]], ratio[order.back()] - ratio[order[cut]]);
  if (gap < 3.0 * width) return false;
  double lo[2] = {INFINITY, INFINITY}, hi[2] = {0.0, 0.0};
  for (size_t i = 0; i < order.size(); ++i) {
    const int side = i >= cut;
    lo[side] = std::min(lo[side], n[order[i]]);
    hi[side] = std::max(hi[side], n[order[i]]);
  }
  if (lo[0] > hi[1] || lo[1] > hi[0]) return false;
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(cut);
  minority = 2 * cut <= order.size() ? std::vector<size_t>(order.begin(), middle)
                                     : std::vector<size_t>(middle, order.end());
  std::sort(minority.begin(), minority.end());
  return true;
}

// C against 6 N D where the table states all three.
void check_flops(const Table& table, const Selection& selection, const FitOptions& options,
                 List& list) {
  for (const char* name : {"N", "D", "C"})
    if (!match_column(table, name, options.columns) || !selection.quantities.contains(name)) return;
  const Values &n = selection.quantities.at("N"), &d = selection.quantities.at("D"),
               &c = selection.quantities.at("C");
  Values ratio;
  for (size_t i = 0; i < n.size(); ++i) ratio.push_back(std::log(c[i] / (6.0 * n[i] * d[i])));
  const double middle = upper_median(ratio), unit = std::log(unit_step);
  std::vector<size_t> off, minority;
  for (size_t i = 0; i < ratio.size(); ++i)
    if (std::fabs(ratio[i] - middle) > unit) off.push_back(i);
  const auto [lo, hi] = std::minmax_element(ratio.begin(), ratio.end());
  if (!off.empty())
    note(list, "units-mixed", Severity::warning,
         "C over 6 N D is {:.2g} in most rows and {:.2g} in {} ({}): two units in one column.",
         std::exp(middle), std::exp(ratio[off.front()]), off.size(),
         name_rows(table, selection, off));
  else if (std::fabs(middle) > unit)
    note(list, "units", Severity::warning,
         "C is {:.2g} times 6 N D: N, D or C stands in another unit than ones. Predictions that "
         "fill "
         "in C = 6 N D will be off by as much.",
         std::exp(middle));
  else if (two_conventions(ratio, n, minority))
    note(list, "mixed-counting", Severity::warning,
         "C over 6 N D falls into two groups, from {:.3g} to {:.3g}, at equal sizes: N or C is "
         "counted in two ways ({} of {} rows: {}). Count embeddings, head and attention alike.",
         std::exp(*lo), std::exp(*hi), minority.size(), n.size(),
         name_rows(table, selection, minority));
  else if (*hi - *lo > std::log(1.1) || std::fabs(middle) > std::log(1.1))
    note(list, "counting", Severity::note,
         "C over 6 N D runs from {:.3g} to {:.3g}: N leaves parameters out or C counts attention. "
         "Exponents in C then depend on the convention.",
         std::exp(*lo), std::exp(*hi));
}

// N beside a count with (or without) embeddings: their ratio must not drift along the ladder.
void check_embeddings(const Table& table, const Selection& selection, List& list) {
  if (!selection.quantities.contains("N")) return;
  const Values other = column_by_name(table, selection,
                                      {"N_total", "total_params", "params_total", "N_non_embedding",
                                       "non_embedding_params", "params_non_embedding"});
  const Values& n = selection.quantities.at("N");
  if (other.empty()) return;
  double lo = INFINITY, hi = 0.0;
  for (size_t i = 0; i < n.size(); ++i) {
    if (!(other[i] > 0.0) || !std::isfinite(other[i])) return;
    lo = std::min(lo, other[i] / n[i]);
    hi = std::max(hi, other[i] / n[i]);
  }
  if (hi / lo > 1.1)
    note(list, "counting", Severity::note,
         "The table's other count of parameters is {:.3g} to {:.3g} times N: the exponent of N and "
         "even E depend on which one is fitted.",
         lo, hi);
}

}  // namespace

std::vector<Diagnostic> diagnose_counting(const Table& table, const Selection& selection,
                                          const FitOptions& options) {
  List list;
  check_flops(table, selection, options, list);
  check_embeddings(table, selection, list);
  return list;
}

}  // namespace rung

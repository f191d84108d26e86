#include <algorithm>
#include <cmath>
#include <set>

#include "law/diagnose.h"
#include "law/diagnose_note.h"
#include "law/diagnose_rows.h"

namespace rung {
namespace {

// Standard deviation of a logarithm below which nothing varies.
constexpr double constant_spread = 0.02;
constexpr double high_correlation = 0.98;

using List = Diagnostics;

// An input's logarithm; where it need not be positive, its value over the largest.
std::vector<double> spread_out(const Selection& selection, size_t input) {
  std::vector<double> values;
  const size_t k = selection.data.inputs;
  const bool logs = selection.law->input_rule(input).domain == Domain::positive;
  double largest = 1e-300;
  for (size_t i = 0; i < selection.data.rows(); ++i) {
    values.push_back(selection.data.x[2 * k * i + (logs ? k : 0) + input]);
    largest = std::max(largest, std::fabs(values.back()));
  }
  for (double& value : values) value /= logs ? 1.0 : largest;
  return values;
}

void check_counts(const Selection& selection, const Problem& problem, List& list) {
  const int free = problem.free_count();
  const size_t k = selection.data.inputs;
  // Priors and known deviations stand in for degrees of freedom.
  const size_t needed =
      free + (selection.sd.empty() ? 1 : 0) - std::min<size_t>(free, problem.priors.size());
  std::set<std::vector<double>> distinct;
  for (size_t i = 0; i < selection.data.rows() && distinct.size() < needed; ++i)
    distinct.emplace(selection.data.x.begin() + 2 * k * i,
                     selection.data.x.begin() + 2 * k * i + k);
  if (distinct.size() < needed)
    note(list, "too-few-points", Severity::refusal,
         "{} rows with {} distinct inputs cannot determine {} coefficients; at least {} are "
         "needed. Add rungs, fix a "
         "coefficient or choose a law with fewer.",
         selection.data.rows(), distinct.size(), free, needed);
}

// Spread of target left after a straight-line fit on the others, both in logs.
double spread_given(const std::vector<std::vector<double>>& logs, size_t target) {
  const int n = static_cast<int>(logs[target].size()), k = static_cast<int>(logs.size());
  Eigen::MatrixXd design(n, k);
  Eigen::VectorXd goal(n);
  for (int i = 0; i < n; ++i) {
    design(i, 0) = 1.0;
    goal[i] = logs[target][i];
    for (int j = 0, at = 1; j < k; ++j)
      if (j != static_cast<int>(target)) design(i, at++) = logs[j][i];
  }
  const Eigen::VectorXd fitted = design * design.colPivHouseholderQr().solve(goal);
  return std::sqrt((goal - fitted).squaredNorm() / std::max(1, n - 1));
}

double deviation(const std::vector<double>& values) {
  double mean = 0.0, sum = 0.0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / std::max(1.0, static_cast<double>(values.size()) - 1.0));
}

// Constant inputs, and inputs that span less than a decade; true when one is refused.
bool check_ranges(const Selection& selection, const std::vector<std::vector<double>>& spread,
                  List& list) {
  bool refused = false;
  for (size_t j = 0; j < spread.size(); ++j) {
    const std::string& name = selection.inputs[j];
    const Range& range = selection.ranges.at(name);
    const InputRule rule = selection.law->input_rule(j);
    if (deviation(spread[j]) < constant_spread) {
      refused |= !rule.may_be_constant;
      if (!rule.may_be_constant)
        note(list, "constant-input", Severity::refusal,
             "{} hardly varies ({:.3g} to {:.3g}), so its exponent is undetermined. Vary it, or "
             "fit a law without it.",
             name, range.min, range.max);
      continue;
    }
    const double decades = std::log10(range.max / range.min);
    if (rule.domain == Domain::positive && decades < 1.0 && !rule.may_be_constant)
      note(list, "narrow-range", Severity::warning, "{} spans {:.2f} decades, less than one.", name,
           decades);
  }
  return refused;
}

void check_inputs(const Selection& selection, List& list) {
  if (selection.law->run_input >= 0) return;  // a step alone says nothing about what varies
  std::vector<std::vector<double>> spread;
  for (size_t j = 0; j < selection.data.inputs; ++j) spread.push_back(spread_out(selection, j));
  if (check_ranges(selection, spread, list)) return;
  // Those that must vary independently of each other.
  std::vector<std::vector<double>> apart;
  std::vector<std::string> names;
  for (size_t j = 0; j < spread.size(); ++j) {
    if (selection.law->input_rule(j).may_follow || deviation(spread[j]) < constant_spread) continue;
    apart.push_back(spread[j]);
    names.push_back(selection.inputs[j]);
  }
  for (size_t j = 1; j < apart.size(); ++j) {
    const double left = spread_given(apart, j);
    const double correlation =
        std::sqrt(std::max(0.0, 1.0 - std::pow(left / deviation(apart[j]), 2)));
    if (left < constant_spread)
      note(list, "collinear", Severity::refusal,
           "{} follows from {} on every row, so their terms cannot be told apart. Vary them "
           "independently, or fit the one-variable law `power` along this path.",
           names[j], names[0]);
    else if (correlation > high_correlation)
      note(list, "collinear", Severity::warning,
           "ln {} and ln {} correlate at {:.4f}: their terms are hard to tell apart.", names[0],
           names[j], correlation);
  }
}

}  // namespace

std::vector<Diagnostic> diagnose_design(const Table& table, const Selection& selection,
                                        const Problem& problem, const FitOptions& options) {
  List list = selection.bound;
  check_counts(selection, problem, list);
  check_inputs(selection, list);
  for (Diagnostic& found : diagnose_rows(table, selection, options))
    list.push_back(std::move(found));
  return list;
}

}  // namespace rung

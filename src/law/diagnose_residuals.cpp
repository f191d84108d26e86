#include <algorithm>
#include <cmath>

#include "law/diagnose.h"
#include "law/diagnose_note.h"

namespace rung {
namespace {

constexpr size_t least_rows = 8;
constexpr double far_off = 10.0;       // deviations of the others
constexpr double least_off = 0.01;     // of a measurement: nothing nearer is called far off
constexpr double most_rows = 0.1;      // more than this share far off means that the law is wrong
constexpr double decisive = 0.5;       // of the residuals' squares: the few outweigh all others
constexpr double normal_mad = 0.6745;  // median of |z| of a normal deviate

}  // namespace

// A robust objective keeps a failed run out of the coefficients, but not out of the noise that
// intervals are drawn with, which it can make tens of times too wide.
std::vector<Diagnostic> diagnose_residuals(const Table& table, const Selection& selection,
                                           const Problem& problem, const Vector& theta,
                                           const FitOptions& options) {
  Diagnostics list;
  const Observations& data = selection.data;
  const bool weighted = !options.sd_column.empty() || !options.weight_column.empty();
  if (weighted || data.rows() < least_rows || problem.law->run_input >= 0) return list;
  const std::vector<double> law = predict_rows(*problem.law, coefficients_of(problem, theta), data);
  std::vector<double> off(data.rows()), distance(data.rows());
  for (size_t i = 0; i < data.rows(); ++i) {
    off[i] = data.loss[i] - law[i];
    if (problem.objective.log_residual) off[i] = std::log(data.loss[i] / law[i]);
    distance[i] = std::fabs(off[i]);
  }
  const double deviation = upper_median(distance) / normal_mad;
  std::vector<size_t> rows;
  double squares = 0.0, of_rows = 0.0;
  for (size_t i = 0; i < data.rows(); ++i) {
    squares += distance[i] * distance[i];
    if (!(distance[i] > far_off * deviation) ||
        !(std::fabs(data.loss[i] - law[i]) > least_off * std::fabs(law[i])))
      continue;
    rows.push_back(i);
    of_rows += distance[i] * distance[i];
  }
  const auto count = static_cast<double>(rows.size());
  if (!(of_rows > decisive * squares) || count > most_rows * static_cast<double>(data.rows()))
    return list;
  std::stable_sort(rows.begin(), rows.end(),
                   [&](size_t a, size_t b) { return distance[a] > distance[b]; });
  note(list, "outliers", Severity::warning,
       "{} of {} rows {} over {:g} deviations of the others off the law: {}, at worst {:.4g} where "
       "the law says {:.4g}. They make the residuals' deviation {:.2g} times what it is without, "
       "and "
       "intervals with it: leave failed runs out with --where.",
       rows.size(), data.rows(), rows.size() == 1 ? "lies" : "lie", far_off,
       name_rows(table, selection, rows), data.loss[rows.front()], law[rows.front()],
       std::sqrt(squares / (squares - of_rows)));
  return list;
}

}  // namespace rung

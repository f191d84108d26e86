#include "law/predict_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "law/bind.h"
#include "law/uncertainty.h"

namespace rung {
namespace {

// D or C from the other and N, by C = 6 N D; empty where the table has no such columns.
std::vector<double> derived(const Table& table, const std::string& input,
                            const std::map<std::string, std::string>& columns) {
  if (input != "D" && input != "C") return {};
  const Column* n = match_column(table, "N", columns);
  const Column* other = match_column(table, input == "D" ? "C" : "D", columns);
  if (!n || !other) return {};
  std::vector<double> values(table.rows);
  for (size_t row = 0; row < table.rows; ++row)
    values[row] = input == "D" ? other->values[row] / (6.0 * n->values[row])
                               : 6.0 * n->values[row] * other->values[row];
  return values;
}

// [rows, 2 k]: the inputs of every row and their logarithms.
std::vector<double> inputs_of(const Fit& fit, const Law& law, const BoundLaw& bound,
                              const Table& table,
                              const std::map<std::string, std::string>& columns) {
  const size_t k = law.inputs.size();
  std::vector<double> x(table.rows * 2 * k);
  for (size_t j = 0; j < k; ++j) {
    const std::string input(law.inputs[j]);
    const auto own = bound.inputs.find(input);
    const Column* column = nullptr;
    std::vector<double> made;
    if (own == bound.inputs.end()) {
      column = match_column(table, fit.inputs[j], columns);
      if (!column) column = match_column(table, input, columns);
      if (!column) made = derived(table, fit.inputs[j], columns);
      if (!column && made.empty())
        fail_usage("[predict] {} has no column for {}. Name it: --columns {}=COLUMN.", table.source,
                   input, input);
    }
    const std::vector<double>& values = column ? column->values : made.empty() ? own->second : made;
    for (size_t row = 0; row < table.rows; ++row) {
      if (!std::isfinite(values[row]) || values[row] < 0.0)
        fail("[predict] {} must be finite and not negative. Received {} in {} of {}.", input,
             values[row], table.where(row), table.source);
      x[row * 2 * k + j] = values[row];
      x[row * 2 * k + k + j] = std::log(values[row]);
    }
  }
  return x;
}

Misfit measure(const std::vector<RowPrediction>& rows) {
  Misfit misfit;
  std::vector<RowPrediction> known;
  for (const RowPrediction& row : rows)
    if (std::isfinite(row.measured)) known.push_back(row);
  misfit.rows = known.size();
  const double n = static_cast<double>(known.size());
  double mean = 0.0, spread = 0.0, squares = 0.0;
  for (const RowPrediction& row : known) mean += row.measured / n;
  for (const RowPrediction& row : known) {
    const double error = row.loss - row.measured;
    const double relative = std::fabs(error) / std::fabs(row.measured);
    spread += (row.measured - mean) * (row.measured - mean);
    squares += error * error;
    misfit.inside += row.inside();
    misfit.bias += error / n;
    misfit.mae += std::fabs(error) / n;
    misfit.mean_relative += relative / n;
    misfit.worst_relative = std::max(misfit.worst_relative, relative);
  }
  misfit.r2 = 1.0 - squares / spread;
  misfit.rmse = std::sqrt(squares / n);
  return misfit;
}

using Evaluated = std::function<std::vector<double>(const std::vector<double>&)>;

std::optional<std::pair<size_t, Prediction>> first_undetermined(
    const Fit& fit, const std::vector<RowPrediction>& rows, const Evaluated& evaluate) {
  if (fit.open_ends.empty()) return {};
  std::map<std::vector<double>, std::vector<double>> known;  // by coefficients
  known[fit.values()] = evaluate(fit.values());
  for (const OpenEnd& end : fit.open_ends) known[end.values] = evaluate(end.values);
  for (size_t row = 0; row < rows.size(); ++row) {
    Prediction at{.target = std::string(fit.law->target),
                  .loss = rows[row].loss,
                  .lo = rows[row].lo,
                  .hi = rows[row].hi};
    at.at_bound = bound_shares(
        fit, [&](const std::vector<double>& c) { return known.at(c)[row]; }, at);
    if (!undetermined_text(at).empty()) return std::pair{row, at};
  }
  return {};
}

}  // namespace

TablePrediction predict_table(const Fit& fit, const Table& table,
                              const std::map<std::string, std::string>& columns,
                              const Table* schedules, double level) {
  if (fit.refused() || fit.coefficients.empty())
    refuse("[predict] The fit was refused and has no coefficients. Received a fit of {}.",
           fit.law->name);
  if (!(level > 0.0 && level < 1.0))
    fail_usage("[predict] level lies between 0 and 1. Received {}.", level);
  BoundLaw bound;
  std::vector<size_t> rows(table.rows);
  std::iota(rows.begin(), rows.end(), size_t{0});
  if (fit.law->bind) bound = fit.law->bind(*fit.law, {table, rows, columns, schedules});
  const Law& law = bound.law ? *bound.law : *fit.law;
  const std::vector<double> x = inputs_of(fit, law, bound, table, columns);
  const auto evaluate = [&](const std::vector<double>& c) {
    std::vector<double> values(table.rows);
    law.evaluate(law, c.data(), x.data(), table.rows, 0, values.data());
    return values;
  };
  const std::vector<double> best = evaluate(fit.values());
  const size_t k = law.inputs.size();
  std::vector<double> growth;
  for (size_t row = 0; row < table.rows; ++row)
    growth.push_back(fit.noise_growth.at({x.begin() + 2 * k * row, x.begin() + 2 * k * row + k}));
  std::vector<std::vector<double>> draws(table.rows);
  Random random(0, "predict-table");
  // A spread of the samples is enough; each carries several draws of the noise.
  constexpr size_t most_samples = 200, draws_wanted = 1000;
  const size_t stride = (fit.samples.size() + most_samples - 1) / most_samples;
  const size_t repeats = fit.samples.empty() ? 1 : 1 + draws_wanted * stride / fit.samples.size();
  for (size_t s = 0; s < fit.samples.size(); s += stride) {
    const std::vector<double> values = evaluate(fit.samples[s]);
    const double factor = s < fit.sample_noise.size() ? fit.sample_noise[s] : 1.0;
    for (size_t row = 0; row < table.rows; ++row)
      for (size_t r = 0; r < repeats; ++r) {
        const double shift =
            fit.noise.empty() ? 0.0 : factor * fit.noise[random.below(fit.noise.size())];
        draws[row].push_back(with_residual(fit.objective, values[row], growth[row] * shift));
      }
  }
  TablePrediction result;
  for (size_t row = 0; row < table.rows; ++row) {
    if (draws[row].empty()) draws[row].push_back(best[row]);
    std::sort(draws[row].begin(), draws[row].end());
    result.rows.push_back({best[row],
                           std::min(best[row], quantile(draws[row], 0.5 * (1.0 - level))),
                           std::max(best[row], quantile(draws[row], 0.5 * (1.0 + level)))});
  }
  result.undetermined = first_undetermined(fit, result.rows, evaluate);
  if (const Column* measured = match_column(table, std::string(fit.law->target), columns))
    for (size_t row = 0; row < table.rows; ++row) result.rows[row].measured = measured->values[row];
  result.misfit = measure(result.rows);
  return result;
}

}  // namespace rung

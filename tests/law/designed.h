// Tables that follow a law exactly or with noise on a design of the test's own, for recovery tests.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/random.h"
#include "law/fit.h"
#include "law/law.h"
#include "law/objective.h"
#include "law/table.h"

namespace rung {

// Values of one input per row, for every input of the law.
using Rows = std::vector<std::vector<double>>;

// Every combination of the axes' values, one axis an input.
inline Rows product(const std::vector<std::vector<double>>& axes) {
  Rows rows = {{}};
  for (const auto& axis : axes) {
    Rows longer;
    for (const auto& row : rows)
      for (const double value : axis) {
        longer.push_back(row);
        longer.back().push_back(value);
      }
    rows = std::move(longer);
  }
  return rows;
}

// `count` values from lo to hi, evenly in their logarithm.
inline std::vector<double> geometric(double lo, double hi, int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i)
    values.push_back(lo * std::pow(hi / lo, i / std::max(1.0, count - 1.0)));
  return values;
}

// A table of the law's own columns. Noise of deviation `sd` is in the residual of the law's
// objective: a factor e^noise, or a summand where that objective takes raw residuals.
inline Table planted(const Law& law, const std::vector<double>& truth, const Rows& rows,
                     double sd = 0.0, uint64_t seed = 0) {
  const bool logs = find_objective(law.objective).log_residual;
  Random random(seed, "planted");
  std::vector<std::vector<double>> columns(law.inputs.size());
  std::vector<double> target;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) columns[i].push_back(row[i]);
    const double noise = sd * random.normal();
    const double exact = evaluate_law(law, truth, row);
    target.push_back(logs ? exact * std::exp(noise) : exact + noise);
  }
  Table table;
  for (size_t i = 0; i < columns.size(); ++i)
    table.add(std::string(law.inputs[i]), std::move(columns[i]));
  table.add(std::string(law.target), std::move(target));
  return table;
}

// Whether every free coefficient lies within `sds` of its standard errors of the truth.
inline bool near_truth(const Fit& fit, const std::vector<double>& truth, double sds = 4.0) {
  bool near = true;
  for (size_t i = 0; i < truth.size(); ++i) {
    const Estimate& found = fit.coefficients[i];
    const bool inside = found.fixed || std::fabs(found.value - truth[i]) <= sds * found.se;
    if (!inside)
      MESSAGE(found.name << " " << found.value << " +- " << found.se << ", not " << truth[i]);
    near &= inside;
  }
  return near;
}

// The values that the law's source publishes.
inline std::vector<double> typical_of(const Law& law) {
  std::vector<double> values;
  for (const Coefficient& coefficient : law.coefficients) values.push_back(coefficient.typical);
  return values;
}

}  // namespace rung

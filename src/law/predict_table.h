// What a fit says about every row of a table, learning curves included, and how far off it is where
// the table holds measurements.
#pragma once
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "law/fit.h"
#include "law/predict.h"

namespace rung {

struct RowPrediction {
  double loss = 0.0, lo = 0.0, hi = 0.0;                       // interval for a new measurement
  double measured = std::numeric_limits<double>::quiet_NaN();  // where the table says
  bool inside() const { return lo <= measured && measured <= hi; }
};

// Of prediction against measurement, in the target's own unit.
struct Misfit {
  size_t rows = 0;    // with a measurement
  size_t inside = 0;  // of these within their intervals
  double bias = 0.0;  // mean of prediction - measurement
  double r2 = 0.0, mae = 0.0, rmse = 0.0, mean_relative = 0.0, worst_relative = 0.0;
};

struct TablePrediction {
  std::vector<RowPrediction> rows;
  Misfit misfit;
  // The first row that a coefficient at its bound decides, and what it says there.
  std::optional<std::pair<size_t, Prediction>> undetermined;
};

// `columns` and `schedules` as in FitOptions, for this table. Errors as in a fit; refuses a refused
// fit.
TablePrediction predict_table(const Fit& fit, const Table& table,
                              const std::map<std::string, std::string>& columns = {},
                              const Table* schedules = nullptr, double level = 0.9);

}  // namespace rung

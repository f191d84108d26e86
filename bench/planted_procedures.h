// Tables with known truth for every procedure, as its users have them: several groups, realistic
// noise, sweeps on grids that do not know where the optimum lies.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/random.h"
#include "law/fit.h"
#include "law/predict.h"
#include "law/predict_table.h"

namespace rung {

struct PlantedProcedure {
  std::string name;                       // of the procedure, or `multi-power`
  FitOptions options{};                   // law, columns, settings, schedules
  std::string design{};                   // one line for the table
  std::map<std::string, double> truth{};  // coefficient -> planted value
  // A table, every group `shift` times further along its main input.
  std::function<Table(double shift, Random&)> draw{};
  // The point ten times beyond the data and what is measured there; absent: only coefficients.
  std::function<Point(const Fit&)> at{};
  std::function<double(Random&)> measured{};
  // Instead of `at`: what a fit says about a row of another table (learning curves).
  std::function<RowPrediction(const Fit&)> predicted{};
  std::string note{};  // a known bias
};

std::vector<PlantedProcedure> planted_procedures();

}  // namespace rung

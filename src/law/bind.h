// Laws whose value at a row depends on more of the table than that row's own inputs (a learning
// curve on its run's whole schedule) are bound to the table before a fit: `Law::bind` returns the
// law that evaluates this table's rows, and the inputs that it computed for them.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "law/fit.h"
#include "law/law.h"
#include "law/table.h"

namespace rung {

struct BoundLaw {
  std::shared_ptr<const Law> law;                     // a copy of the law with its context
  std::map<std::string, std::vector<double>> inputs;  // input -> value per row of the table
  std::vector<Diagnostic> diagnostics;                // what the rows cannot determine
};

// What a binding may read beside the table.
struct Binding {
  const Table& table;
  const std::vector<size_t>& rows;                    // those that are fitted or predicted
  const std::map<std::string, std::string>& columns;  // as in FitOptions
  const Table* schedules = nullptr;                   // learning rates of the runs, see schedule.h
};

}  // namespace rung

// From a table to the rows of one fitting problem: columns matched, filter applied, every value
// checked.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "law/fit.h"
#include "law/problem.h"

namespace rung {

struct Selection {
  const Law* law = nullptr;
  std::shared_ptr<const Law> made{};  // holds `law` where it was bound to the table
  std::vector<Diagnostic> bound{};    // what binding it found
  Observations data{};
  std::vector<size_t> rows{};  // their indices in the table
  std::vector<double> sd{};    // of the residual, after the floor; empty unknown
  std::vector<int> cluster{};  // per row its cluster, numbered from 0; empty without clusters
  // What each input of the law stands for: N, D, C or a column's name.
  std::vector<std::string> inputs{};
  // N, D, C where known (per selected row).
  std::map<std::string, std::vector<double>> quantities{};
  std::map<std::string, Range> ranges{};
};

// Fails on missing, non-finite and (where the law or the objective needs them positive)
// non-positive values with their row numbers, and when no row is left.
Selection select_rows(const Table& table, const FitOptions& options);
Selection select_rows(const Law& law, const Table& table, const FitOptions& options);

// The objective that the caller asked for, else the law's own.
Objective objective_of(const Law& law, const FitOptions& options);

// A selection with some of its rows only, in the given order.
Selection subset(const Selection& from, const std::vector<size_t>& positions);

// The fitting problem of a selection, which must outlive it.
Problem make_problem(const Selection& selection, const FitOptions& options);

}  // namespace rung

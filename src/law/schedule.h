// Learning-rate schedules: the rate at every step of a run, from knots.
//
// A table of knots has the columns step, lr, run (unless there is one run only) and shape: how the
// rate goes from this knot to the next: linear (the default), cosine (half a period), exponential,
// or hold (constant until the next knot's step). Example, warm-up and cosine:
//   run,step,lr,shape
//   small,0,0,linear
//   small,2000,3e-4,cosine
//   small,24000,3e-5,hold
#pragma once
#include <map>
#include <string>
#include <vector>

#include "law/table.h"

namespace rung {

struct RateSchedule {
  std::string run;
  std::vector<double> lr;     // [last step + 1], from step 0
  std::vector<size_t> knots;  // steps where its shape may change, rising
};

// Fails (usage) on missing columns; fails on rates that are negative or not finite, steps that are
// no whole numbers or do not rise within a run, and runs that do not begin at step 0.
std::vector<RateSchedule> read_schedules(const Table& knots);

// The same from the rows of the runs themselves: linear between the rows that have a rate, and a
// linear warm-up from 0 at step 0 to the first row. `columns` maps step, lr and run.
std::vector<RateSchedule> schedules_of_rows(const Table& table,
                                            const std::map<std::string, std::string>& columns);

// The run of each row: the run column's cells as text, or one nameless run.
std::vector<std::string> run_names(const Table& table,
                                   const std::map<std::string, std::string>& columns);

// Tables of single runs one below the other with a column `run` that holds each one's name. Columns
// that some lack are left out.
Table join_runs(const std::vector<Table>& tables, const std::vector<std::string>& names);

// One file as it is; several as runs named after their files (without folder and extension).
Table read_runs(const std::vector<std::string>& paths);

}  // namespace rung

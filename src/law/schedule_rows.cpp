#include "law/schedule_rows.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"

namespace rung {
namespace {

size_t find_run(const std::vector<RateSchedule>& schedules, const std::string& name, bool only,
                std::string_view law) {
  // A single schedule without a name serves a single run of any name.
  if (only && schedules.size() == 1) return 0;
  std::vector<std::string_view> names;
  for (const RateSchedule& schedule : schedules) {
    if (schedule.run == name) return names.size();
    names.push_back(schedule.run);
  }
  fail_usage("[{}] No schedule for the run. Received {}. The nearest is {}.", law, name,
             nearest_name(name, names));
}

}  // namespace

ScheduledRows schedule_rows(const Binding& binding, std::string_view law) {
  ScheduledRows result;
  result.schedules = binding.schedules ? read_schedules(*binding.schedules)
                                       : schedules_of_rows(binding.table, binding.columns);
  const Column* steps = match_column(binding.table, "step", binding.columns);
  if (!steps)
    fail_usage("[{}] {} has no column step. Name it: --columns step=COLUMN.", law,
               binding.table.source);
  const std::vector<std::string> names = run_names(binding.table, binding.columns);
  const bool only = std::all_of(names.begin(), names.end(),
                                [&](const std::string& name) { return name == names.front(); });
  for (const size_t row : binding.rows) {
    const size_t run = find_run(result.schedules, names[row], only, law);
    const double step = steps->values[row];
    const double last = static_cast<double>(result.schedules[run].lr.size() - 1);
    if (!(step >= 1.0 && step <= last) || step != std::floor(step))
      fail("[{}] A step is a whole number from 1 to the schedule's last, {:g}. Received {} in {}.",
           law, last, step, binding.table.where(row));
    result.points.push_back({run, static_cast<size_t>(step)});
  }
  return result;
}

}  // namespace rung

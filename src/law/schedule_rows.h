// Where the rows of a table stand on their runs' learning-rate schedules: what laws of learning
// curves read.
#pragma once
#include <string_view>
#include <vector>

#include "law/bind.h"
#include "law/schedule.h"

namespace rung {

struct SchedulePoint {
  size_t run = 0, step = 0;  // index into ScheduledRows::schedules, step on it (at least 1)
};

struct ScheduledRows {
  std::vector<RateSchedule> schedules;
  std::vector<SchedulePoint> points;  // one for each of the binding's rows
};

// Schedules from the table of knots, else from the rows' own rates. `law` names the law in errors.
// Fails on a step that is no whole number of the schedule; usage errors for a missing column and
// for a run without a schedule, naming the nearest.
ScheduledRows schedule_rows(const Binding& binding, std::string_view law);

}  // namespace rung

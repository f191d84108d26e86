// Tables as experiment trackers export them, brought into the form that fits read: one row a point.
#pragma once
#include <string>

#include "core/json.h"
#include "law/table.h"

namespace rung {

// A chart exported from Weights & Biases has a column a run, `RUN - KEY`, with `RUN - KEY__MIN` and
// `RUN - KEY__MAX` beside it. Its points become rows with the columns run, the chart's abscissa and
// each KEY; empty cells are left out. Any other table is returned as it is.
Table lengthen_chart_export(Table table);

// A scalar as TensorBoard exports it, a JSON array of [wall time, step, value]: columns Wall time,
// Step, Value. Fails naming the entry.
Table scalar_export(const Json& array, const std::string& source);

}  // namespace rung

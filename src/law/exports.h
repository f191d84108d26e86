// Tables as experiment trackers export them, brought into the form that fits read: one row a point.
#pragma once
#include <string>
#include <string_view>

#include "law/table.h"

namespace rung {

// A chart exported from Weights & Biases has a column a run, `RUN - KEY`, with `RUN - KEY__MIN` and
// `RUN - KEY__MAX` beside it. Its points become rows with the columns run, the chart's abscissa and
// each KEY; empty cells are left out. Any other table is returned as it is.
Table lengthen_chart_export(Table table);

// A JSON array: of objects, one a row, or of [wall time, step, value] as TensorBoard exports a
// scalar (columns Wall time, Step, Value). Fails naming the entry.
Table parse_json_array(std::string_view text, const std::string& source);

}  // namespace rung

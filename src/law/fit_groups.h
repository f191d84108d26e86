// One fit for each group of a table's rows: models, tasks, families that share a law but not its
// coefficients.
#pragma once
#include <string>
#include <vector>

#include "core/json.h"
#include "law/fit.h"

namespace rung {

struct GroupFit {
  std::vector<std::string> values;  // of the grouping columns
  Fit fit{};
  std::string error{};  // why there is no fit; the other groups go on
};

struct GroupFits {
  std::vector<std::string> columns;  // that group the rows
  std::vector<GroupFit> groups{};    // in the order of their first rows
  size_t fitted() const;             // neither refused nor failed
};

// Groups the rows that the filter keeps by the columns' values and fits each, `options.threads`
// groups at a time; each fit is what fit_law gives for a table of these rows alone. Usage errors
// are thrown, bad values of a group are its error.
GroupFits fit_groups(const Table& table, const std::vector<std::string>& columns,
                     const FitOptions& options);

// `by`, `status` and `fits`: each group's fit with its `group` (column -> value).
Json groups_to_json(const GroupFits& fits, bool samples = true);

// Whether a file holds the fits of groups rather than one.
bool holds_groups(const Json& json);

// The fit of one group; `wanted` is COLUMN=VALUE,... and may be short as long as it names one.
// Usage errors list what there is.
Json find_group(const Json& json, const std::string& wanted, const std::string& source);

}  // namespace rung

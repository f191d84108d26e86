#include "study/measures.h"

#include "core/error.h"
#include "core/nearest.h"

namespace rung {

Measures measures_without(const std::vector<std::string>& names) {
  Measures measures;
  std::vector<std::string_view> known;
  for (const MeasureName& measure : measure_names) known.push_back(measure.name);
  for (const std::string& name : names) {
    bool found = false;
    for (const MeasureName& measure : measure_names) {
      if (measure.name != name) continue;
      measures.*measure.field = false;
      found = true;
    }
    if (!found)
      fail_usage("[climb] Unknown measure. Received --without {}. The nearest is {}; there are {}.",
                 name, nearest_name(name, known), fmt::join(known, ", "));
  }
  return measures;
}

std::vector<std::string> left_out(const Measures& measures) {
  std::vector<std::string> names;
  for (const MeasureName& measure : measure_names)
    if (!(measures.*measure.field)) names.emplace_back(measure.name);
  return names;
}

}  // namespace rung

#include "cli/torch/budget.h"

#include <array>
#include <optional>
#include <utility>

#include "config/number.h"
#include "core/error.h"

namespace rung {

Budget parse_budget(const std::string& text) {
  constexpr std::array<std::pair<const char*, double>, 5> units{
      {{"min", 60.0}, {"flop", 0.0}, {"flops", 0.0}, {"s", 1.0}, {"h", 3600.0}}};
  for (const auto& [unit, seconds] : units) {
    const std::string suffix = unit;
    if (text.size() <= suffix.size() || !text.ends_with(suffix)) continue;
    const std::optional<double> value = parse_number(text.substr(0, text.size() - suffix.size()));
    if (!value) continue;
    if (!(*value > 0.0)) fail_usage("[climb] --budget must be positive. Received {}.", text);
    return seconds == 0.0 ? Budget{.flops = *value} : Budget{.seconds = *value * seconds};
  }
  fail_usage(
      "[climb] --budget takes a time or a number of FLOPs, such as 90s, 4min, 1e15flop. Received "
      "{}.",
      text);
}

}  // namespace rung

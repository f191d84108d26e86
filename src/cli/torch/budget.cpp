#include "cli/torch/budget.h"

#include <optional>

#include "core/error.h"
#include "core/number.h"

namespace rung {

Budget parse_budget(const std::string& text) {
  Budget budget;
  std::optional<double> amount = parse_seconds(text);
  if (amount) budget.seconds = *amount;
  // A plain number could be either.
  if (!amount && !parse_number(text)) {
    amount = parse_flops(text);
    if (amount) budget.flops = *amount;
  }
  if (!amount)
    fail_usage(
        "[climb] --budget takes a time or a number of FLOPs, such as 90s, 4min, 1e15flop. Received "
        "{}.",
        text);
  if (!(*amount > 0.0)) fail_usage("[climb] --budget must be positive. Received {}.", text);
  return budget;
}

}  // namespace rung

#include "law/objective.h"

#include <array>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"

namespace rung {
namespace {

constexpr std::array objective_table = {
    Objective{.name = "huber-log", .summary = "Huber on log residuals, summed"},
    Objective{.name = "huber", .summary = "Huber on raw residuals, summed", .log_residual = false},
    Objective{.name = "mae-asymmetric",
              .summary = "mean |r|, x10 where the prediction is too high",
              .log_residual = false,
              .penalty = Penalty::kinked,
              .mean = true,
              .over = 10.0},
    Objective{.name = "quantile",
              .summary = "the tau-quantile of the data: tau |r| below them, (1 - tau) |r| above",
              .penalty = Penalty::kinked},
    Objective{.name = "least-squares",
              .summary = "half the sum of squared log residuals",
              .penalty = Penalty::square},
    Objective{.name = "raw-least-squares",
              .summary = "half the sum of squared raw residuals",
              .log_residual = false,
              .penalty = Penalty::square},
};

}  // namespace

std::span<const Objective> objectives() {
  return objective_table;
}

Objective find_objective(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Objective& objective : objective_table) {
    if (objective.name == name) return objective;
    names.push_back(objective.name);
  }
  fail_usage("[objective] Unknown objective. Received {}. The nearest is {}.", name,
             nearest_name(name, names));
}

}  // namespace rung

#include "optim/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"

namespace rung {
namespace {

constexpr std::array<std::pair<const char*, Cooldown>, 5> kinds{
    {{"linear", Cooldown::linear},
     {"1-sqrt", Cooldown::one_minus_sqrt},
     {"cosine-cooldown", Cooldown::cosine_cooldown},
     {"cosine", Cooldown::cosine},
     {"constant", Cooldown::constant}}};

int64_t resolve_steps(double value, int64_t steps) {
  const double count = value < 1.0 ? value * static_cast<double>(steps) : value;
  return static_cast<int64_t>(std::llround(count));
}

}  // namespace

Schedule make_schedule(const TrainConfig& train, int64_t steps) {
  Schedule schedule{.steps = steps,
                    .warmup = resolve_steps(train.warmup, steps),
                    .cooldown = resolve_steps(train.cooldown, steps)};
  std::vector<std::string> names;
  bool found = false;
  for (const auto& [name, kind] : kinds) {
    names.emplace_back(name);
    if (train.schedule != name) continue;
    schedule.kind = kind;
    found = true;
  }
  if (!found)
    fail_usage(
        "[schedule] No schedule is called '{}'.{}", train.schedule,
        suggestion(train.schedule, names, fmt::format(" Known are {}.", fmt::join(names, ", "))));
  if (schedule.kind == Cooldown::constant) schedule.cooldown = 0;
  if (schedule.kind == Cooldown::cosine) schedule.cooldown = steps - schedule.warmup;
  if (schedule.warmup > steps || schedule.warmup + schedule.cooldown > steps)
    fail_usage("[schedule] Warm-up of {} and cooldown of {} steps do not fit into {} steps.",
               schedule.warmup, schedule.cooldown, steps);
  return schedule;
}

double schedule_factor(const Schedule& s, int64_t step) {
  const double at = static_cast<double>(step);
  if (step < s.warmup) return (at + 1.0) / static_cast<double>(s.warmup);
  if (step >= s.steps) return s.cooldown ? 0.0 : 1.0;
  if (step < s.trunk()) return 1.0;
  const double r = (at - static_cast<double>(s.trunk())) / static_cast<double>(s.cooldown);
  switch (s.kind) {
    case Cooldown::linear:
      return 1.0 - r;
    case Cooldown::one_minus_sqrt:
      return 1.0 - std::sqrt(r);
    case Cooldown::cosine_cooldown:
    case Cooldown::cosine:
      return 0.5 * (1.0 + std::cos(std::numbers::pi * r));
    case Cooldown::constant:
      return 1.0;
  }
  return 1.0;
}

}  // namespace rung

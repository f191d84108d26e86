// Learning-rate schedules: warm-up, a constant trunk and a cooldown (WSD; Haegele et al. 2024), or
// plain cosine.
#pragma once
#include <cstdint>
#include <string>

#include "config/config.h"

namespace rung {

enum class Cooldown { linear, one_minus_sqrt, cosine_cooldown, cosine, constant };

struct Schedule {
  Cooldown kind = Cooldown::linear;
  int64_t steps = 0;     // total
  int64_t warmup = 0;    // steps
  int64_t cooldown = 0;  // steps; the trunk ends at steps - cooldown
  int64_t trunk() const { return steps - cooldown; }
};

// Resolves fractions to steps. Fails (usage) on an unknown kind or when warm-up and cooldown
// overlap.
Schedule make_schedule(const TrainConfig& train, int64_t steps);

// The factor s in [0, 1] of step `step` (0-based). At the trunk's end it is exactly 1.
double schedule_factor(const Schedule& schedule, int64_t step);

}  // namespace rung

// A ladder: one trunk run a shape, with a cooldown branch for every number of tokens per parameter.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "study/sweep.h"

namespace rung {

struct Shape {
  int64_t width = 0, depth = 0;
};
// "32x4": width x depth. Fails (usage).
Shape parse_shape(const std::string& text);

// A shape's trunk: the members (tokens = the longest branch) and where it is finished, ascending.
struct RungPlan {
  std::string name;  // w32d4
  std::vector<RunConfig> members;
  std::vector<Schedule> finishes;
};

// D = ratio * N, rounded up to whole batches. All branches share the warm-up of the shortest;
// cooldowns keep their fraction. Fails (usage) on cosine, which has no trunk, and on ratios too
// small for one batch.
std::vector<RungPlan> plan_ladder(std::span<const RunConfig> members, std::span<const Shape> shapes,
                                  std::span<const double> tokens_per_parameter,
                                  const TokenSource& source);

// Trains the plan from the smallest rung up; FOLDER/runs.csv after every rung.
StudyResult run_ladder(std::span<const RungPlan> plan, const StudyContext& context);

}  // namespace rung

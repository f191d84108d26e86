// What a climb trains: a target under a FLOP budget and the rungs below it, on one path of constant
// tokens per parameter. Plans count FLOPs only; the clock enters once, where a time budget is
// turned into a FLOP budget.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/json.h"
#include "study/measures.h"

namespace rung {

// One shape on the path. C is one member's training FLOPs.
struct PathPoint {
  int64_t width = 0, N = 0, tokens = 0, batch_tokens = 0;
  double C = 0.0;
};

// A population of the plan: members differ in seed (ladder, target) or in learning rate and seed
// (sweep).
struct PlannedRun {
  std::string name, kind;  // kind: sweep, ladder, target
  PathPoint point;
  double batch_factor = 1.0;       // over the plan's batch rule
  std::vector<double> lr_factors;  // over the learning rate that is in force when the run starts
  int64_t seeds = 1;               // per learning rate
  int64_t members() const { return seeds * static_cast<int64_t>(lr_factors.size()); }
  double flops() const { return point.C * static_cast<double>(members()); }
};

struct ClimbOptions {
  double flops = 0.0;  // of everything: sweeps, ladder and target
  double tokens_per_parameter = 20.0;
  double ahead = 4.0;               // target's C over the largest rung's, at least
  double batch_coefficient = 0.68;  // batch tokens = coefficient sqrt(tokens), refined by the sweep
  int64_t heads = 2;                // the same on every rung: heads grow, their number does not
  int64_t largest_head = 0;         // heads double where the target's would be larger; 0: no limit
  int64_t width_step = 4;           // keeps head_dim even
  int64_t smallest_width = 8;
  size_t most_rungs = 6;
  double spacing = 1.25;    // least ratio of N between neighbouring rungs
  int64_t most_seeds = 6;   // of a rung
  int64_t sweep_seeds = 1;  // of a learning rate
  double reach = 6.0;       // largest rung's N over the smallest's, at most: further down the curve
                            // bends (docs/climb.md)
  int64_t most_tokens = INT64_MAX;  // distinct training tokens that there are
  int64_t widest = 16384;           // of the targets that are looked at
  int64_t target_width = 0;         // 0: the widest that the budget affords
  int64_t target_tokens = 0;        // of the target of that width; 0: tokens_per_parameter
  bool train_target = true;         // false: it is trained elsewhere and costs nothing here
  uint64_t seed = 1;
  Measures measures{};
};

struct ClimbPlan {
  ClimbOptions options;
  std::vector<PlannedRun> sweeps, ladder;  // ascending in C
  PlannedRun target;
  bool limited_by_text = false;  // the budget would have afforded a larger target
  int64_t wanted_tokens = 0;     // distinct tokens that the budget alone would have trained on
  double flops() const;          // of what is trained here
  double ahead() const;          // the target's C over the largest rung's
};

// The point of the path at one width. Shapes other than width come from `base`.
PathPoint path_point(const RunConfig& base, int64_t vocabulary, int64_t width,
                     const ClimbOptions& options);

// The largest target whose climb fits the budget; for a target of given width the longest reach of
// the ladder that fits: its largest rung stays as near below the target as the budget allows. Fails
// when the budget or the text is too small to climb, saying what would be enough.
ClimbPlan plan_climb(const RunConfig& base, int64_t vocabulary, const ClimbOptions& options);

// The same without failing: where there is no plan, what `plan_climb` fails with, and whether a
// larger budget would bring one.
struct PlanSearch {
  std::optional<ClimbPlan> plan;
  std::string shortage;
  bool budget_short = false;
};
PlanSearch find_plan(const RunConfig& base, int64_t vocabulary, const ClimbOptions& options);

// The configurations of a planned run's members: learning rate slowest, then seeds.
std::vector<RunConfig> members_of(const PlannedRun& run, const RunConfig& base, double lr,
                                  double batch_coefficient, const ClimbOptions& options);

Json to_json(const ClimbPlan& plan);

// What a climb says of its plan: the target, and what limits it.
std::vector<std::string> plan_lines(const ClimbPlan& plan);

}  // namespace rung

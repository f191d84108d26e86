// What the search for a climb's plan tries: the rungs below a target, and what is trained on them.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "config/config.h"
#include "study/climb_plan.h"

namespace rung {

constexpr size_t fewest_rungs = 4;

// The points of one path. A search asks for most widths as a rung of hundreds of targets, and every
// point lists a decoder's tensors, so that each is made once.
class Path {
 public:
  Path(const RunConfig& base, int64_t vocabulary, const ClimbOptions& options)
      : base_(base), vocabulary_(vocabulary), options_(options) {}
  const PathPoint& at(int64_t width);

 private:
  const RunConfig& base_;
  int64_t vocabulary_;
  ClimbOptions options_;
  std::unordered_map<int64_t, PathPoint> points_;
};

// Widths below the target, largest first, spaced in N.
std::vector<PathPoint> rungs_below(Path& path, const PathPoint& target,
                                   const ClimbOptions& options);

// Sweeps, ladder and target; the rungs are given largest first.
ClimbPlan plan_for(const PathPoint& target, std::vector<PathPoint> rungs,
                   const ClimbOptions& options);

// Shapes come in steps, so that the widest affordable climb leaves some of the budget: it buys more
// seeds, a round at a time from the largest rung down, which the prediction hangs on most.
void spend_rest(ClimbPlan& plan);

}  // namespace rung

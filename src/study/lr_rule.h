// The learning-rate and batch rule of a climb, found on the small rungs of this very data.
//   log2 lr*(tokens) = log2 lr0 + slope log2(tokens / tokens0)
// with the slope shrunk towards 0 (batches grow as sqrt(tokens), which takes most of the horizon's
// effect away).
#pragma once
#include <string>
#include <vector>

#include "core/json.h"

namespace rung {

// One learning rate of a sweep: mean held-out loss over its seeds.
struct BowlPoint {
  double lr = 0.0, loss = 0.0;  // loss NaN: diverged
};

// The optimum of one sweep: the parabola loss + curvature (log2 lr - log2_lr)^2 through the points
// near the best.
struct BowlFit {
  double log2_lr = 0.0, se = 0.0, loss = 0.0, curvature = 0.0;
  // The best point is the first or last of the line: the true optimum may lie beyond.
  bool at_edge = false;
};

// Fits points whose loss lies within `window` (relative) of the best. With fewer than three usable
// points, or no upward curvature, `curvature` (relative to the loss, per squared octave) is taken
// as given.
BowlFit fit_bowl(std::vector<BowlPoint> points, double noise, double curvature = 0.012,
                 double window = 0.12);

struct LrRule {
  double log2_lr0 = 0.0, slope = 0.0, slope_se = 0.0, tokens0 = 1.0;
  double batch_coefficient = 0.0;
  double at(double tokens) const;
};

// Joins sweeps at several horizons; prior_sd is that of the slope around 0.
LrRule fit_lr_rule(const std::vector<BowlFit>& bowls, const std::vector<double>& tokens,
                   double prior_sd = 0.1);

Json to_json(const BowlFit& bowl);
Json to_json(const LrRule& rule);

}  // namespace rung

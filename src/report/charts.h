// The plots of a climb as data: what page.js draws, one JSON object a plot. Plots without data are
// null.
#pragma once
#include "core/json.h"
#include "report/climb_files.h"

namespace rung {

Json ladder_chart(const ClimbFiles& files);    // loss over training FLOPs: rungs, law, band, target
Json residual_chart(const ClimbFiles& files);  // measured over fitted loss, in percent
Json curves_chart(const ClimbFiles& files);    // training loss over tokens
Json bowl_chart(const ClimbFiles& files);  // loss above the best over learning rate, a line a sweep
Json sources_chart(const ClimbFiles& files);  // half-widths of the prediction interval by source

// One sweep: the members of one (width, batch, horizon), their best and the vertex of the parabola
// in log2 lr through the best point and its neighbours (or what plan.json's `optima` says).
struct Bowl {
  double width = 0, batch_tokens = 0, tokens = 0;
  std::vector<std::pair<double, double>> points;  // (lr, mean loss), by lr
  double best = 0, optimum_lr = 0;
  bool at_edge = false;  // the lowest point is the first or the last: the optimum may lie outside
};
std::vector<Bowl> find_bowls(const ClimbFiles& files);

}  // namespace rung

// A ladder's rungs as means over seeds, and how far seeds scatter.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "study/runs_csv.h"

namespace rung {

// Relative deviation between seeds of each rung, drawn towards the pooled one by four virtual runs:
// two seeds alone say little about their own scatter.
// By N; `pooled` is that of all rungs.
std::map<int64_t, double> rung_deviations(std::span<const RunRecord> ladder, double& pooled);

// ln N, mean ln L and its variance, the mean C.
struct Rung {
  double x = 0.0, y = 0.0, variance = 0.0, C = 0.0;
};

// Ascending in N, of more than `above` parameters.
std::vector<Rung> rung_means(std::span<const RunRecord> ladder,
                             const std::map<int64_t, double>& deviations, int64_t above = 0);

}  // namespace rung

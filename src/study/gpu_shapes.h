// What a GPU's kernels ask of a climb's shapes.
#pragma once
#include "config/config.h"
#include "study/climb_plan.h"

namespace rung {

// Heads and widths for which all of the model's mixers have kernels; more rungs, wider ones and
// more seeds than on a CPU, as they cost seconds.
void suit_gpu(ClimbOptions& options, const ModelConfig& model);

// As many heads as a climb to a target of this width would have: they double until the largest
// allowed one is large enough.
int64_t heads_at(const ClimbOptions& options, int64_t width);

}  // namespace rung

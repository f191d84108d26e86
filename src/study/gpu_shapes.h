// What a GPU's kernels ask of a climb's shapes.
#pragma once
#include "config/config.h"
#include "study/climb_plan.h"

namespace rung {

// Heads and widths for which all of the model's mixers have kernels; more rungs, wider ones and
// more seeds than on a CPU, as they cost seconds.
void suit_gpu(ClimbOptions& options, const ModelConfig& model);

// Whether a model of this width has larger heads than are allowed.
bool outgrows_heads(const ClimbOptions& options, int64_t width);

// Twice the heads, whose widths come in steps twice as wide.
ClimbOptions with_more_heads(ClimbOptions options);

// As a climb to a target of this width has them: heads double until the largest allowed one is
// large enough, as long as the width can be cut into so many.
ClimbOptions with_heads_at(ClimbOptions options, int64_t width);

}  // namespace rung

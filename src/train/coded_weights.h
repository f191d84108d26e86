// Matrices that a step on a GPU keeps in the codes that its FP8 units read.
#pragma once
#include <vector>

#include "config/config.h"
#include "model/decoder.h"

namespace rung {

// Those that the units multiply and whose codes the optimizer writes with the new weights; none for
// optimizers other than adamw.
std::vector<size_t> coded_weights(const Decoder& decoder, const RunConfig& config);

}  // namespace rung

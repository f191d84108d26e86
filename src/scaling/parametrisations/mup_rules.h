// muP's two halves, which rules that add depth build upon.
#pragma once
#include "scaling/parametrisations/rules.h"

namespace rung {

Factors mup_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment);
BlockFactors mup_block(const RunConfig& config, const Dims& dims, double branch);

}  // namespace rung

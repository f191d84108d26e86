// muP's halves, which rules that add depth, batch or density build upon.
#pragma once
#include "scaling/parametrisations/width_rule.h"

namespace rung {

Factors mup_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment);
// Without a multiplier on the readout.
Factors mup_table3_factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment);
BlockFactors mup_block(const RunConfig& config, const Dims& dims, double branch);

}  // namespace rung

// What a decoder cannot be built of, said in one line before any tensor is made.
#pragma once
#include "model/part.h"

namespace rung {

// Shapes, positions and attention. Fails (usage).
void check_model(const RunConfig& config, int64_t vocabulary);

// The part of that name in a table, `kind` mixer or ffn, checked against the model. Fails (usage).
const Part& checked_part(std::span<const Part> table, std::string_view kind,
                         const std::string& name, const RunConfig& config);

// That the parametrisation has factors for blocks of this kind.
void check_blocks(const RunConfig& config, const BlockFactors& block);

}  // namespace rung

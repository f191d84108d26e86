// Which mixer and which ffn each layer has.
#pragma once
#include <string>
#include <vector>

#include "config/config.h"

namespace rung {

// model.mixer in every layer, or model.pattern: names with counts, such as "mamba2 x7, attention",
// repeated to the depth. Fails (usage) where it does not fit the depth; names are not looked up.
std::vector<std::string> mixers_by_layer(const ModelConfig& model);
// The same of model.ffn and model.ffn_pattern.
std::vector<std::string> ffns_by_layer(const ModelConfig& model);

// The name of an ffn that is not there: its block has no second branch.
inline constexpr const char* no_ffn = "none";
// Whether each branch is there: the mixer of block 0, its ffn, the mixer of block 1, ...
std::vector<bool> branches_of(const ModelConfig& model);

}  // namespace rung

// Which mixer each layer has.
#pragma once
#include <string>
#include <vector>

#include "config/config.h"

namespace rung {

// model.mixer in every layer, or model.pattern: names with counts, such as "mamba2 x7, attention",
// repeated to the depth. Fails (usage) where it does not fit the depth; names are not looked up.
std::vector<std::string> mixers_by_layer(const ModelConfig& model);

}  // namespace rung

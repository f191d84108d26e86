// Which mixer, ffn and attention window each layer has.
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

// model.window in the layers that model.windows calls local, or in all; 0, no limit, in the global
// ones. The list is repeated and cut to the depth. Fails (usage) on other names.
std::vector<int64_t> windows_by_layer(const ModelConfig& model);

// Which parts of each layer stay as they were drawn, by model.frozen.
struct Frozen {
  bool mixer = false, ffn = false;
};
std::vector<Frozen> frozen_by_layer(const ModelConfig& model);

// The blocks that the prediction of the next token passes: all but those of further heads.
inline int64_t path_depth(const ModelConfig& model) {
  return model.depth - (model.mtp_heads - 1);
}

// The name of an ffn that is not there: its block has no second branch.
inline constexpr const char* no_ffn = "none";
// Whether each branch on that way is there: the mixer of block 0, its ffn, the mixer of block 1,
// ...
std::vector<bool> branches_of(const ModelConfig& model);

}  // namespace rung

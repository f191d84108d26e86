// Tensors of the role channel, and the starts that several parts share.
#pragma once
#include "scaling/tensors.h"

namespace rung {

// A fixed number of weights for each of shape[0] channels or heads.
TensorSpec per_channel(std::string name, std::vector<int64_t> shape, int64_t fan_in, Start start,
                       bool decays);

// Uniform in +- fan_in^-1/2, as torch's Conv1d starts filters and their bias.
double start_filter(const TensorSpec& spec, int64_t index, Random& random);
// N(0, 1 / fan_in): outputs of the inputs' size.
double start_map(const TensorSpec& spec, int64_t index, Random& random);
double start_one(const TensorSpec& spec, int64_t index, Random& random);

}  // namespace rung

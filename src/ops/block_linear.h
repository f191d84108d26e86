// Block-diagonal linear map.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// y_g = W_g x_g for each of `blocks` parts of the last axis. x [P, B, T, blocks * in], weight [P,
// blocks * out, in] (its multiplier applied) -> [P, B, T, blocks * out].
at::Tensor block_linear(const at::Tensor& x, const at::Tensor& weight, int64_t blocks);

}  // namespace rung

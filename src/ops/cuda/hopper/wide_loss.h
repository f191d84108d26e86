// Softmax cross-entropy of long rows of logits in place (cross_entropy of kernels.h), where two
// rows fit into a multiprocessor's shared memory.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

bool fits_wide_loss(Type type, int64_t vocabulary);
void wide_loss(Type type, const LossShape& shape, void* logits, const int64_t* targets, float scale,
               float* loss, Stream stream);

}  // namespace rung::cuda

// Readout and cross-entropy at width 256: one pass over the rows gives losses and the input's
// gradient from logits in registers (as linear_loss.h does), and writes what a plain product makes
// the matrix's gradient of. With z = forward x W^T, p = softmax(z), a reference r of each row and
// total = sum_v 2^(z_v - r) in base 2,
//   q_v = 2^(z_v - r) - [v = target] total,  share = x / total:  dW = q^T share,
// so that nothing is divided by sums that are known at the end of the pass only.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct StreamedLoss {
  int64_t members, rows, vocabulary;
  int64_t row_stride;     // elements between members of x and dx
  int64_t weight_stride;  // between members' matrices
  int64_t target_stride, loss_stride;
  float forward;  // multiplies x W^T
};
constexpr bool fits_streamed_loss(int64_t width, int64_t vocabulary) {
  return width == 256 && vocabulary >= 8 && vocabulary % 8 == 0;
}

// dx = factor (sum_v p_v W_v - W_target), q [members, rows, vocabulary] and share [members, rows,
// width], all three null or none.
void streamed_loss(const StreamedLoss& shape, const void* x, const void* weight,
                   const int64_t* targets, float factor, float* loss, void* dx, void* q,
                   void* share, Stream stream);

}  // namespace rung::cuda

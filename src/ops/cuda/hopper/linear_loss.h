// Readout and cross-entropy without logits in memory (sm_90a): logits live in registers, a tile at
// a time, as scores do in flash attention (Dao et al. 2022). With z = forward x W^T (or cap tanh(z
// / cap)) and p = softmax(z),
//   loss = lse(z) - z[target],  dx = sum_v p_v W_v - W_target,  dW_v = sum_rows (p_v - [v =
//   target]) x,
// so that loss and dx are one pass of attention whose keys and values are both W, and dW another
// one with the logits made again. bf16 in, products and sums in fp32, no atomics. Where blocks are
// too few for the device, sums over the vocabulary (rows) are split and joined in order; how often
// depends on the device and on the number of members.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct LinearLoss {
  int64_t members, rows, vocabulary, width;
  int64_t weight_stride;  // elements between members; x [members, rows, width] has no gaps
  float forward;          // multiplies x W^T
  float cap;              // 0: off
  int input_splits = 1, weight_splits = 1;  // of plan_linear_loss
  int weight_launches = 1;  // into which the splits of the weight's pass are shared out
  // What the passes need beside.
  int64_t input_floats() const {
    return input_splits > 1 ? input_splits * members * rows * (width + 2) : 0;
  }
  int64_t weight_floats() const {
    return weight_splits > 1 ? weight_splits * members * vocabulary * width : 0;
  }
};

constexpr int64_t widest_linear_loss = 128;  // widths are multiples of 8 up to this
// Fills in the splits; where the weight's gradient is to run beside other kernels and would fill
// the device, two launches that leave them half of it each.
void plan_linear_loss(LinearLoss& shape, bool beside = false);

// targets and loss [members, rows]; lse [members, rows] (base 2) for the weight's gradient; dx =
// factor times the formula above unless null. `space` holds input_floats().
void linear_loss_input(const LinearLoss& shape, const void* x, const void* weight,
                       const int64_t* targets, float factor, float* space, float* loss, float* lse,
                       void* dx, Stream stream);
// gradient = factor dW (+ gradient where it `adds`), `gradient_stride` elements between members.
// `space` holds weight_floats().
void linear_loss_weight(const LinearLoss& shape, const void* x, const void* weight,
                        const int64_t* targets, const float* lse, float factor, float* space,
                        float* gradient, int64_t gradient_stride, bool adds, Stream stream);

}  // namespace rung::cuda

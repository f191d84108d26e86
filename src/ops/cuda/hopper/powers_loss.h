// Readout and cross-entropy of wide models in bf16 by way of exponentials: a product whose kernel
// writes q = 2^z in place of the logits z = forward x W^T (to base 2), and sums of q by rows. No
// pass over logits follows: with total = sum_v 2^(z_v),
//   q_v -= [v = target] total,  share = x / total:  dW = q^T share,  dx = diag(1 / total) q W,
// so that dW and dx are plain products of q. The reference of every row is 0. That is as exact as
// any other where total is neither tiny nor huge; rows where it is are made again with the largest
// logit for a reference.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct PowersLoss {
  int64_t members, rows, vocabulary, width;
  int64_t row_stride;     // elements between members of x and dx
  int64_t weight_stride;  // between members' matrices
  int64_t target_stride, loss_stride;
  float forward;  // multiplies x W^T
  int parts = 1;  // of a row's vocabulary, whose sums stand alone: plan_powers_loss
};
constexpr bool fits_powers_loss(int64_t width, int64_t vocabulary) {
  return width >= 512 && width <= 1024 && width % 64 == 0 && vocabulary >= 8 && vocabulary % 8 == 0;
}
void plan_powers_loss(PowersLoss& shape);

struct PowersSums {
  const void *x, *weight;
  const int64_t* targets;
  void* q;        // [members, rows, vocabulary]; null: sums alone
  float* totals;  // [members, rows, parts]
  float* hits;    // [members, rows], the targets' logits to base 2
};
void powers_product(const PowersLoss& shape, const PowersSums& to, Stream stream);

// What follows from the sums: losses, and where q is not null q at the targets, share [members,
// rows, width] and scale [members, rows] = factor / total, which dx's product is to be multiplied
// by (powers_scale).
struct PowersJoin {
  float factor;
  float *loss, *scale;
  void* share;
};
void powers_join(const PowersLoss& shape, const PowersSums& from, const PowersJoin& to,
                 Stream stream);

// Rows of dx times their scale.
void powers_scale(const PowersLoss& shape, const float* scale, void* dx, Stream stream);

}  // namespace rung::cuda

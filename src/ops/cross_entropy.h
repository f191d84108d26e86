// Readout and next-token loss in one op: logits exist for a chunk of rows at a time.
#pragma once
#include "ops/weight.h"

namespace rung {

struct LossOptions {
  double logit = 1.0;  // multiplies A x W^T before the softmax
  // The gradient of the summed loss is multiplied by this (1 / batch tokens for a mean).
  double gradient = 1.0;
  double cap = 0.0;        // logits l then become cap tanh(l / cap); 0: off
  int64_t vocabulary = 0;  // rows of the weight beyond it are padding; 0: none
  int64_t chunk = 1024;    // rows of logits held at a time on a CPU
};

// Rows of a member's logits held at a time on a GPU, which works best on few large chunks.
int64_t gpu_logit_rows(int64_t members, int64_t rows, int64_t vocabulary);

// x [P, B, T, D], weight [P, V, D], targets [P, B, T] int64 -> losses in nats, fp32 [P, B, T].
// Call backward with a gradient of ones on losses.sum(): the weight's gradient is already summed
// when this returns.
at::Tensor linear_cross_entropy(const at::Tensor& x, const Weight& weight,
                                const at::Tensor& targets, const LossOptions& options);
at::Tensor linear_cross_entropy_plain(const at::Tensor& x, const Weight& weight,
                                      const at::Tensor& targets, const LossOptions& options);

}  // namespace rung

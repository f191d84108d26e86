// Multi-token prediction (Gloeckle et al. 2024, arXiv 2404.19737): on the stream z of a trunk, head
// i = 1 .. n is a block of its own, behind which all share the final norm and the readout,
//   L = - sum_t sum_i log softmax(readout(norm(h_i(z_t))))[x_{t+i}].
// Head 1 is the last block of the path: with n = 1 this is the plain decoder. A target beyond the
// window counts for nothing.
#pragma once
#include "model/blocks.h"

namespace rung {

// Losses of further head k (0: two tokens ahead), [P, B, T - k - 1], on the stream z.
at::Tensor head_losses(const Run& run, size_t k, const at::Tensor& z, const at::Tensor& targets,
                       double gradient);

// The identity on z, which is where the further heads train: each head's loss is differentiated
// before the next one begins, so that one head's activations exist at a time, and what reaches z is
// added to its gradient. Their losses are reported to the tally, and computed for it alone where
// nothing is recorded.
at::Tensor train_heads(const Run& run, const at::Tensor& z, const at::Tensor& targets,
                       double gradient);

}  // namespace rung

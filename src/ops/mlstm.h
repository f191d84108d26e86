// The mLSTM cell (Beck et al. 2024, arXiv 2405.04517): a matrix memory with exponential gates,
// computed step by step or in chunks of matrix products.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

// H heads, keys of size K, values of size V.
struct MlstmInput {
  at::Tensor q, k;           // [P, B, T, H, K]; the caller scales q k
  at::Tensor v;              // [P, B, T, H, V]
  at::Tensor input, forget;  // [P, B, T, H], before exp and before the sigmoid
  // Before the first step; undefined: zero.
  at::Tensor memory;  // [P, B, H, K, V + 1]: C exp(-m), and n exp(-m) as its last column
  at::Tensor m;       // [P, B, H]
};
struct MlstmOutput {
  at::Tensor h;          // [P, B, T, H, V]
  at::Tensor memory, m;  // after the last step
};

// C_t = f C_{t-1} + i k_t v_t^T, n_t = f n_{t-1} + i k_t, h_t = C_t^T q_t / max(|n_t q_t|, 1), with
// f = sigmoid(forget), i = exp(input). C and n are kept times exp(-m), where m is the largest
// logarithm of any of their terms' factors: h does not depend on it, and nothing overflows.
// Takes `chunk` steps at once (0: chosen by the memory's size). On a GPU q, k and v may be bf16,
// and so are the products then; gates, memory and m are fp32.
MlstmOutput mlstm(const MlstmInput& input, int64_t chunk);

// By the recurrence, and in chunks of `chunk` steps, which need not divide T; a chunk of T or more
// is the parallel, quadratic form. In chunks, q, k and v may be of a type with fewer digits than
// the others.
MlstmOutput mlstm_recurrent(const MlstmInput& input);
MlstmOutput mlstm_chunked(const MlstmInput& input, int64_t chunk);

}  // namespace rung
